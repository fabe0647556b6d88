"""Families with mixtures of experts."""

from __future__ import annotations

from dataclasses import replace

from tandem.plan.architectures.blocks import (
    Attention,
    Experts,
    Mlp,
    head_dim_of,
    intermediate_size,
    kv_heads_of,
    qk_norm,
)
from tandem.plan.architectures.dense import BIASED, PLAIN, attentions
from tandem.plan.architectures.family import ALL_ENDS, Family, Norms
from tandem.plan.architectures.patterns import (
    after,
    columns,
    every,
    layer_count,
    layer_types,
    sparse_steps,
    uniform,
    windowed,
)
from tandem.plan.config import Config, always, constant, flag, key

_WIDE = Experts(width=intermediate_size)


def _times(count: str, width: str, default: int = 0) -> Experts:
    """Return experts beside a shared one of some experts' width."""
    return Experts(
        shared_width=lambda config: config.number(count, default=default, least=0) * config.number(width),
        width=key(width),
    )


def _llama4_layers(config: Config) -> list[tuple[str, ...]]:
    count = layer_count(config)
    rope = config.numbers("no_rope_layers")
    if not rope:
        interval = config.number("no_rope_layer_interval", default=4)
        rope = tuple(int((index + 1) % interval != 0) for index in range(count))
    if len(rope) != count:
        config.refuse("no_rope_layers", f"a list of {count} entries, one for each layer")
    chunk = config.has("attention_chunk_size") or "attention_chunk_size" not in config.values
    step = config.number("interleave_moe_layer_step", default=1, least=0)
    moe = config.numbers("moe_layers")
    chosen = set(moe) if moe is not None else set(range(step - 1, count, step)) if step else set()
    return [
        ("chunked" if rope[index] and chunk else "full", "moe" if index in chosen else "mlp") for index in range(count)
    ]


def _ernie_layers(config: Config) -> list[tuple[str, ...]]:
    count = layer_count(config)
    start = config.number("moe_layer_start_index", default=1, least=0)
    end = config.values.get("moe_layer_end_index")
    last = count - 1 if end is None or end == -1 else config.number("moe_layer_end_index", least=0)
    step = config.number("moe_layer_interval", default=1)
    return [("full", "moe" if (index + 1) % step == 0 and start <= index <= last else "mlp") for index in range(count)]


def _mlp_types(first: str, default: int) -> object:
    listed = layer_types(names={"dense": "mlp", "sparse": "moe"}, key_name="mlp_layer_types")
    counted = after(key(first, default=default, least=0))
    return lambda config: listed(config) if config.has("mlp_layer_types") else counted(config)


def _qwen(config: Config) -> list[tuple[str, ...]]:
    if config.flag("use_sliding_window"):
        config.refuse("use_sliding_window", "false: windows of this family were not verified")
    return columns("full", sparse_steps)(config)


MIXTRAL = Family(
    ("MixtralForCausalLM",),
    columns(windowed(), "moe"),
    {**attentions(Attention(kv_heads=kv_heads_of(8))), "moe": _WIDE},
    everywhere=ALL_ENDS,
)
QWEN2_MOE = Family(
    ("Qwen2MoeForCausalLM",),
    _qwen,
    {
        "full": Attention(qkv_bias=always, kv_heads=kv_heads_of(16)),
        "mlp": Mlp(),
        "moe": Experts(
            experts=key("num_experts", absent=60),
            active=key("num_experts_per_tok", absent=4),
            width=key("moe_intermediate_size", absent=1408),
            shared_width=key("shared_expert_intermediate_size", absent=5632, default=0, least=0),
            shared_gate=True,
        ),
    },
    everywhere=ALL_ENDS,
)
QWEN3_MOE = Family(
    ("Qwen3MoeForCausalLM",),
    _qwen,
    {
        "full": Attention(
            qkv_bias=flag("attention_bias"),
            kv_heads=kv_heads_of(4),
            qk_norm=qk_norm("head"),
        ),
        "mlp": Mlp(),
        "moe": Experts(
            experts=key("num_experts", "num_local_experts", absent=128),
            active=key("num_experts_per_tok", absent=8),
            width=key("moe_intermediate_size", absent=768),
        ),
    },
    everywhere=ALL_ENDS,
)
PHI_MOE = Family(
    ("PhiMoEForCausalLM",),
    columns(windowed(), "moe"),
    {
        **attentions(Attention(qkv_bias=always, o_bias=always, kv_heads=kv_heads_of(8))),
        "moe": replace(_WIDE, experts=key("num_local_experts", absent=16), active=key("num_experts_per_tok", absent=2)),
    },
    norms=Norms(bias=True),
    head_bias=always,
    everywhere=ALL_ENDS,
    tied_fixed=True,
)
GPT_OSS = Family(
    ("GptOssForCausalLM",),
    # vLLM goes by the index, whatever layer_types says.
    columns(every(constant(2)), "moe"),
    {
        **attentions(
            Attention(qkv_bias=always, o_bias=always, kv_heads=kv_heads_of(8), head_dim=head_dim_of(64), sinks=True),
            128,
        ),
        "moe": Experts(
            experts=key("num_local_experts", "num_experts", absent=128),
            active=key("num_experts_per_tok", "experts_per_token", absent=4),
            width=intermediate_size,
            router_bias=True,
            bias=True,
        ),
    },
    everywhere=ALL_ENDS,
)
GLM4_MOE = Family(
    ("Glm4MoeForCausalLM",),
    columns("full", after(key("first_k_dense_replace", absent=1, least=0))),
    {
        "full": Attention(
            qkv_bias=flag("attention_bias"),
            kv_heads=kv_heads_of(8),
            qk_norm=qk_norm("head", flag("use_qk_norm")),
        ),
        "mlp": Mlp(),
        "moe": replace(
            _times("n_shared_experts", "moe_intermediate_size", 1),
            experts=key("n_routed_experts", absent=128),
            router_float32=True,
            correction=always,
        ),
    },
    tied_fixed=True,
)
GRANITE_MOE = Family(
    ("GraniteMoeForCausalLM",),
    uniform("full", "moe"),
    {"full": PLAIN, "moe": _WIDE},
    everywhere=ALL_ENDS,
)
GRANITE_MOE_SHARED = Family(
    ("GraniteMoeSharedForCausalLM",),
    uniform("full", "moe"),
    {
        "full": PLAIN,
        "moe": replace(_WIDE, shared_width=key("shared_intermediate_size", default=0, least=0)),
    },
    everywhere=ALL_ENDS,
)
_OLMOE = Experts(
    experts=key("num_experts", absent=64), active=key("num_experts_per_tok", absent=8), width=intermediate_size
)
OLMOE = Family(
    ("OlmoeForCausalLM",),
    uniform("full", "moe"),
    {"full": Attention(qk_norm=qk_norm("full")), "moe": _OLMOE},
    everywhere=ALL_ENDS,
    tied_fixed=True,
)
FLEX_OLMO = Family(
    ("FlexOlmoForCausalLM",),
    uniform("full", "moe"),
    {
        "full": replace(BIASED, qk_norm=qk_norm("full")),
        "moe": replace(_OLMOE, experts=key("num_experts", absent=7), active=key("num_experts_per_tok", absent=5)),
    },
)
EXAONE_MOE = Family(
    ("ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM"),
    columns(
        layer_types(default=every(key("sliding_window_pattern", default=4))),
        _mlp_types("first_k_dense_replace", 1),  # type: ignore[arg-type]
    ),
    {
        **attentions(Attention(kv_heads=kv_heads_of(32), qk_norm=qk_norm("head")), 4096),
        "mlp": Mlp(),
        "moe": replace(
            _times("num_shared_experts", "moe_intermediate_size", 1),
            experts=key("num_experts", absent=64),
            correction=always,
        ),
    },
)
LLAMA4 = Family(
    ("Llama4ForCausalLM",),
    _llama4_layers,
    {
        "full": Attention(kv_heads=kv_heads_of(8), head_dim=head_dim_of(128)),
        "chunked": Attention(
            kv_heads=kv_heads_of(8),
            head_dim=head_dim_of(128),
            kind="chunked",
            window=key("attention_chunk_size", absent=8192),
        ),
        "mlp": Mlp(width=key("intermediate_size_mlp", absent=16384)),
        "moe": Experts(
            experts=key("num_local_experts", absent=16),
            active=key("num_experts_per_tok", absent=1),
            width=intermediate_size,
            shared_width=intermediate_size,
        ),
    },
)
ERNIE_MOE = Family(
    ("Ernie4_5_MoeForCausalLM",),
    _ernie_layers,
    {
        "full": Attention(qkv_bias=flag("use_bias"), kv_heads=kv_heads_of(4)),
        "mlp": Mlp(bias=flag("use_bias")),
        "moe": Experts(
            experts=key("moe_num_experts", absent=64),
            active=key("moe_k", absent=6),
            width=key("moe_intermediate_size", absent=1536),
            shared_width=lambda config: (
                config.number("moe_num_shared_experts", default=2, least=0)
                * config.number("moe_intermediate_size", default=1536)
            ),
            router_float32=True,
            correction=always,
        ),
    },
    tied=True,
)
HUNYUAN_MOE = Family(
    ("HunYuanMoEV1ForCausalLM",),
    uniform("full", "moe"),
    {
        "full": replace(BIASED, qk_norm=qk_norm("head")),
        "moe": replace(_WIDE, experts=key("num_experts"), active=key("moe_topk"), shared_width=intermediate_size),
    },
)
MINIMAX_M2 = Family(
    ("MiniMaxM2ForCausalLM",),
    uniform("full", "moe"),
    {
        "full": Attention(kv_heads=kv_heads_of(8), head_dim=head_dim_of(128), qk_norm=qk_norm("full")),
        "moe": replace(_WIDE, experts=key("num_local_experts", absent=256), router_float32=True, correction=always),
    },
    tied_fixed=True,
)
SOLAR_OPEN = Family(
    ("SolarOpenForCausalLM",),
    uniform("full", "moe"),
    {
        "full": Attention(qkv_bias=flag("attention_bias"), kv_heads=kv_heads_of(8), head_dim=head_dim_of(128)),
        "moe": replace(
            _times("n_shared_experts", "moe_intermediate_size", 1), experts=key("n_routed_experts", absent=128)
        ),
    },
)
MELLUM = Family(
    ("MellumForCausalLM",),
    columns(layer_types(default=lambda config: ["full"] * layer_count(config)), "moe"),
    {
        **attentions(
            replace(BIASED, kv_heads=kv_heads_of(4), head_dim=head_dim_of(128), qk_norm=qk_norm("head")), 1024
        ),
        "moe": Experts(experts=key("num_local_experts", "num_experts", absent=64)),
    },
)

DOTS1 = Family(
    ("Dots1ForCausalLM",),
    columns("full", after(key("first_k_dense_replace", absent=0, least=0))),
    {
        "full": replace(BIASED, kv_heads=kv_heads_of(32), qk_norm=qk_norm("head")),
        "mlp": Mlp(),
        "moe": replace(_times("n_shared_experts", "moe_intermediate_size"), experts=key("n_routed_experts")),
    },
    refuse=lambda config: "windows of this family were not verified" if config.has("sliding_window") else None,
)
AFMOE = Family(
    ("AfmoeForCausalLM",),
    columns(
        layer_types(default=every(key("global_attn_every_n_layers", default=4))),
        after(key("num_dense_layers", absent=1, least=0)),
    ),
    {
        **attentions(
            Attention(kv_heads=kv_heads_of(16), head_dim=head_dim_of(128), qk_norm=qk_norm("head"), gate_matrix=True),
            1024,
        ),
        "mlp": Mlp(),
        "moe": Experts(
            experts=key("num_experts", absent=64),
            active=key("num_experts_per_tok", absent=6),
            width=key("moe_intermediate_size", absent=1408),
            shared_width=lambda config: (
                config.number("num_shared_experts", default=2, least=0)
                * config.number("moe_intermediate_size", default=1408)
            ),
            router_float32=True,
            correction=always,
        ),
    },
    norms=Norms(per_layer=4),
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
