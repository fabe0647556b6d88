"""Families with multi-head latent attention."""

from __future__ import annotations

from dataclasses import replace

from tandem.plan.architectures.blocks import Experts, Latent, Mlp
from tandem.plan.architectures.family import Family
from tandem.plan.architectures.patterns import after, columns, layer_count, layer_types, uniform
from tandem.plan.config import Config, key


def _sparse(config: Config) -> list[str]:
    if config.has("n_routed_experts"):
        return after(key("first_k_dense_replace", default=0, least=0), step=key("moe_layer_freq", default=1))(config)
    return ["mlp"] * layer_count(config)


def _lite_feeds(config: Config) -> list[str]:
    if config.has("mlp_layer_types") and not config.has("first_k_dense_replace"):
        return layer_types(names={"dense": "mlp", "sparse": "moe"}, key_name="mlp_layer_types")(config)
    return after(key("first_k_dense_replace", default=1, least=0))(config)


def _corrected(config: Config) -> bool:
    return bool(config.raw("topk_method") == "noaux_tc")


_EXPERTS = Experts(
    experts=key("n_routed_experts"),
    shared_width=lambda config: (
        config.number("n_shared_experts", default=0, least=0) * config.number("moe_intermediate_size")
    ),
    correction=_corrected,
)
_ATTENTION = Latent()
DEEPSEEK = Family(
    ("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"),
    columns("latent", _sparse),
    {"latent": _ATTENTION, "mlp": Mlp(), "moe": _EXPERTS},
    tied_fixed=True,
)
DEEPSEEK_SPARSE = Family(
    ("DeepseekV32ForCausalLM",),
    columns("latent", _sparse),
    {"latent": replace(_ATTENTION, indexed=True), "mlp": Mlp(), "moe": _EXPERTS},
    tied_fixed=True,
)
GLM4_MOE_LITE = Family(
    ("Glm4MoeLiteForCausalLM",),
    columns("latent", _lite_feeds),
    {
        "latent": _ATTENTION,
        "mlp": Mlp(),
        "moe": replace(_EXPERTS, router_float32=True, correction=lambda _config: True),
    },
    tied_fixed=True,
)
MINICPM3 = Family(
    ("MiniCPM3ForCausalLM",),
    uniform("latent", "mlp"),
    {"latent": Latent(expanded=True), "mlp": Mlp()},
    tied=True,
)
YOUTU = Family(
    ("YoutuForCausalLM",),
    uniform("latent", "mlp"),
    {"latent": _ATTENTION, "mlp": Mlp()},
    tied=True,
    refuse=lambda config: "biases of its attention were not verified" if config.flag("attention_bias") else None,
)


FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
