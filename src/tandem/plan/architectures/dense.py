"""Families whose layers are attention and a feed-forward block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tandem.plan.architectures.blocks import (
    Attention,
    Block,
    Mlp,
    head_dim_of,
    kv_heads_of,
    qk_norm,
)
from tandem.plan.architectures.family import ALL_ENDS, Family, Norms
from tandem.plan.architectures.patterns import columns, every, layer_count, layer_types, uniform, window_of, windowed
from tandem.plan.config import Config, always, constant, flag, key, never

PLAIN = Attention()
BIASED = Attention(qkv_bias=flag("attention_bias"), o_bias=flag("attention_bias"))
_BY_WINDOW = columns(windowed(), "mlp")


def attentions(attention: Attention, absent: int | None = None, more: int = 0) -> Mapping[str, Block]:
    """Return the full and the sliding form of an attention block."""
    return {
        "full": attention,
        "sliding": replace(attention, kind="sliding", window=window_of(absent, more)),
    }


def _qwen2_layers(config: Config) -> list[tuple[str, ...]]:
    if not config.flag("use_sliding_window"):
        return [("full", "mlp")] * layer_count(config)
    return columns(layer_types(default=_all_sliding), "mlp")(config)


def _all_sliding(config: Config) -> list[str]:
    if config.number("max_window_layers", default=28, least=0) < layer_count(config):
        config.refuse("max_window_layers", "at least num_hidden_layers, as vLLM knows no other mixture")
    return ["sliding"] * layer_count(config)


def _qwen2_refuses(config: Config) -> str | None:
    if config.flag("use_sliding_window") and config.number("max_window_layers", default=28, least=0) < layer_count(
        config
    ):
        return "vLLM refuses a window for some of the layers (use_sliding_window with max_window_layers)"
    return None


LLAMA = Family(
    ("LlamaForCausalLM", "LLaMAForCausalLM"),
    _BY_WINDOW,
    {**attentions(BIASED), "mlp": Mlp(bias=flag("mlp_bias"))},
)
MISTRAL = Family(
    ("MistralForCausalLM",),
    columns(windowed(4096), "mlp"),
    {**attentions(Attention(kv_heads=kv_heads_of(8)), 4096), "mlp": Mlp()},
)
MINISTRAL = Family(
    ("Ministral3ForCausalLM",),
    _BY_WINDOW,
    {**attentions(Attention(kv_heads=kv_heads_of(8), head_dim=head_dim_of(128))), "mlp": Mlp()},
)
QWEN2 = Family(
    ("Qwen2ForCausalLM",),
    _qwen2_layers,
    {**attentions(Attention(qkv_bias=always, kv_heads=kv_heads_of(32)), 4096), "mlp": Mlp()},
    refuse=_qwen2_refuses,
)
QWEN3 = Family(
    ("Qwen3ForCausalLM",),
    _qwen2_layers,
    {
        **attentions(
            Attention(
                qkv_bias=flag("attention_bias"),
                kv_heads=kv_heads_of(32),
                head_dim=head_dim_of(128),
                qk_norm=qk_norm("head"),
            ),
            4096,
        ),
        "mlp": Mlp(),
    },
    refuse=_qwen2_refuses,
)
PHI = Family(
    ("PhiForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(
            qkv_bias=always, o_bias=always, qk_norm=qk_norm("head", flag("qk_layernorm")), qk_norm_bias=True
        ),
        "mlp": Mlp(gated=False, bias=always),
    },
    norms=Norms(per_layer=1, bias=True),
    # vLLM runs this family by transformers' code, whose head's bias it leaves out.
    head_bias=never,
)
PHI3 = Family(("Phi3ForCausalLM",), _BY_WINDOW, {**attentions(PLAIN), "mlp": Mlp()})
GEMMA = Family(
    ("GemmaForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(kv_heads=kv_heads_of(16), head_dim=head_dim_of(256)),
        "mlp": Mlp(),
    },
    tied=True,
)
_GEMMA2 = replace(BIASED, kv_heads=kv_heads_of(4), head_dim=head_dim_of(256))
GEMMA2 = Family(
    ("Gemma2ForCausalLM",),
    columns(layer_types(default=every(constant(2))), "mlp"),
    {**attentions(_GEMMA2, 4096), "mlp": Mlp()},
    norms=Norms(per_layer=4),
    tied=True,
    tied_fixed=True,
)
_GEMMA3_HEADS = key("num_attention_heads", absent=8)
GEMMA3 = Family(
    ("Gemma3ForCausalLM",),
    columns(layer_types(default=every(key("sliding_window_pattern", default=6))), "mlp"),
    {
        **attentions(
            replace(_GEMMA2, heads=_GEMMA3_HEADS, kv_heads=kv_heads_of(4, _GEMMA3_HEADS), qk_norm=qk_norm("head")), 4096
        ),
        "mlp": Mlp(width=key("intermediate_size", absent=9216)),
    },
    # Published configs leave out what is the default.
    vocab=key("vocab_size", absent=262208),
    norms=Norms(per_layer=4),
    tied=True,
)
VAULT_GEMMA = Family(
    ("VaultGemmaForCausalLM",),
    columns(layer_types(default=every(constant(2))), "mlp"),
    {**attentions(_GEMMA2, 4096), "mlp": Mlp()},
    tied=True,
)
_GLM = Attention(qkv_bias=flag("attention_bias", True), kv_heads=kv_heads_of(2), head_dim=head_dim_of(128))
GLM = Family(("GlmForCausalLM",), uniform("full", "mlp"), {"full": _GLM, "mlp": Mlp()})
GLM4 = Family(("Glm4ForCausalLM",), uniform("full", "mlp"), {"full": _GLM, "mlp": Mlp()}, norms=Norms(per_layer=4))
_COHERE = Attention(qk_norm=qk_norm("heads", flag("use_qk_norm")))
COHERE = Family(
    ("CohereForCausalLM",),
    uniform("full", "mlp"),
    {"full": _COHERE, "mlp": Mlp()},
    norms=Norms(per_layer=1),
    tied=True,
    tied_fixed=True,
)
COHERE2 = Family(
    ("Cohere2ForCausalLM",),
    columns(layer_types(default=every(key("sliding_window_pattern", default=4))), "mlp"),
    # A layer sees the window and the token itself.
    {**attentions(_COHERE, 4096, more=1), "mlp": Mlp()},
    norms=Norms(per_layer=1),
    tied=True,
    tied_fixed=True,
)
GRANITE = Family(("GraniteForCausalLM",), uniform("full", "mlp"), {"full": BIASED, "mlp": Mlp(bias=flag("mlp_bias"))})
OLMO = Family(("OlmoForCausalLM",), uniform("full", "mlp"), {"full": BIASED, "mlp": Mlp()}, norms=Norms(weight=False))
_OLMO2 = replace(BIASED, qk_norm=qk_norm("full"))
OLMO2 = Family(("Olmo2ForCausalLM",), uniform("full", "mlp"), {"full": _OLMO2, "mlp": Mlp()})
OLMO3 = Family(
    ("Olmo3ForCausalLM",),
    columns(layer_types(default=every(constant(4))), "mlp"),
    {**attentions(_OLMO2, 4096), "mlp": Mlp()},
)
STABLE_LM = Family(
    ("StableLmForCausalLM",),
    uniform("full", "mlp"),
    {"full": Attention(qkv_bias=flag("use_qkv_bias"), kv_heads=kv_heads_of(32)), "mlp": Mlp()},
    norms=Norms(bias=True),
    everywhere=ALL_ENDS,
)
STARCODER2 = Family(
    ("Starcoder2ForCausalLM",),
    _BY_WINDOW,
    {
        **attentions(
            Attention(qkv_bias=flag("use_bias", True), o_bias=flag("use_bias", True), kv_heads=kv_heads_of(2))
        ),
        "mlp": Mlp(gated=False, bias=flag("use_bias", True)),
    },
    norms=Norms(bias=True),
    tied=True,
)
EXAONE4 = Family(
    ("Exaone4ForCausalLM",),
    columns(layer_types(default=every(key("sliding_window_pattern", default=4))), "mlp"),
    {**attentions(Attention(kv_heads=kv_heads_of(32), qk_norm=qk_norm("head")), 4096), "mlp": Mlp()},
)
SMOL_LM3 = Family(
    ("SmolLM3ForCausalLM",),
    columns(windowed(), "mlp"),
    {**attentions(replace(BIASED, kv_heads=kv_heads_of(4))), "mlp": Mlp(bias=flag("mlp_bias"))},
    tied=True,
)
NEMOTRON = Family(
    ("NemotronForCausalLM",),
    uniform("full", "mlp"),
    {"full": BIASED, "mlp": Mlp(gated=False, bias=flag("mlp_bias"))},
    norms=Norms(bias=True),
)
ERNIE = Family(
    ("Ernie4_5ForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(kv_heads=kv_heads_of(2), head_dim=head_dim_of(128)),
        "mlp": Mlp(),
    },
    tied=True,
)
HUNYUAN = Family(
    ("HunYuanDenseV1ForCausalLM",),
    uniform("full", "mlp"),
    {"full": replace(BIASED, qk_norm=qk_norm("head")), "mlp": Mlp()},
)
SEED_OSS = Family(
    ("SeedOssForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(
            qkv_bias=flag("attention_bias", True),
            o_bias=flag("attention_out_bias"),
            kv_heads=kv_heads_of(8),
            head_dim=head_dim_of(128),
        ),
        "mlp": Mlp(bias=flag("mlp_bias")),
    },
)
ARCEE = Family(
    ("ArceeForCausalLM",), uniform("full", "mlp"), {"full": BIASED, "mlp": Mlp(gated=False, bias=flag("mlp_bias"))}
)
APERTUS = Family(
    ("ApertusForCausalLM",),
    uniform("full", "mlp"),
    {"full": replace(BIASED, qk_norm=qk_norm("head")), "mlp": Mlp(gated=False, extra=2)},
)
JAIS2 = Family(
    ("Jais2ForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(qkv_bias=flag("attention_bias", True), o_bias=flag("attention_bias", True)),
        "mlp": Mlp(gated=False, bias=flag("mlp_bias", True)),
    },
    norms=Norms(bias=True),
)
CWM = Family(
    ("CwmForCausalLM",),
    columns(layer_types(default=every(constant(4), offset=0)), "mlp"),
    {
        **attentions(Attention(kv_heads=kv_heads_of(8), head_dim=head_dim_of(128)), 8192),
        "mlp": Mlp(bias=flag("mlp_bias")),
    },
)
HYPER_CLOVA = Family(
    ("HyperCLOVAXForCausalLM",),
    uniform("full", "mlp"),
    {"full": BIASED, "mlp": Mlp(bias=flag("mlp_bias"))},
    norms=Norms(per_layer=4),
)
FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
