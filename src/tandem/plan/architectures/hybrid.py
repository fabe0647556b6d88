"""Families whose layers keep a fixed state, all of them or some."""

from __future__ import annotations

from dataclasses import replace

from tandem.plan.architectures.blocks import (
    Attention,
    Experts,
    Mlp,
    head_dim_of,
    hidden_size,
    intermediate_size,
    kv_heads_of,
    qk_norm,
)
from tandem.plan.architectures.dense import BIASED
from tandem.plan.architectures.family import ALL_ENDS, Family, Norms
from tandem.plan.architectures.patterns import (
    after,
    columns,
    every,
    layer_count,
    layer_types,
    period_and_offset,
    sparse_steps,
    uniform,
)
from tandem.plan.architectures.recurrent import DeltaNet, Mamba1, Mamba2, ShortConv
from tandem.plan.config import Config, Number, flag, key

_LINEAR = layer_types(default=every(key("full_attention_interval", default=4), otherwise="recurrent"))
_SHARED_EXPERTS = Experts(
    shared_width=key("shared_expert_intermediate_size", absent=512, default=0, least=0),
    shared_gate=True,
    width=key("moe_intermediate_size", absent=512),
)


def _next_attention(kv_heads: int) -> Attention:
    return Attention(
        qkv_bias=flag("qkv_bias"),
        kv_heads=kv_heads_of(kv_heads),
        head_dim=head_dim_of(256),
        qk_norm=qk_norm("head"),
        gated=True,
    )


def _ssm_dtype(config: Config) -> str | None:
    return config.word("mamba_ssm_dtype") if config.has("mamba_ssm_dtype") else None


def _times_hidden(name: str, default: int) -> Number:
    return lambda config: int(config.ratio(name, default) * hidden_size(config))


def _step_rank(*names: str) -> Number:
    def read(config: Config) -> int:
        for name in names:
            if config.raw(name) == "auto":
                return -(-hidden_size(config) // 16)
        return config.number(*names, default=-(-hidden_size(config) // 16))

    return read


def _letters(config: Config) -> list[tuple[str, ...]]:
    names = {"M": "recurrent", "*": "full", "-": "mlp", "E": "moe"}
    if config.has("layers_block_type", "layer_types"):
        name = "layers_block_type" if config.has("layers_block_type") else "layer_types"
        words = config.words(name) or ()
        kinds = {"mamba": "recurrent", "linear_attention": "recurrent", "attention": "full", "full_attention": "full"}
        kinds |= {"mlp": "mlp", "moe": "moe"}
        if not words or set(words) - set(kinds):
            config.refuse(name, f"a list of {', '.join(kinds)}")
        return [(kinds[word],) for word in words]
    pattern = config.word("hybrid_override_pattern")
    if not pattern or set(pattern) - set(names):
        config.refuse("hybrid_override_pattern", f"a text of the letters {' '.join(names)}")
    return [(names[letter],) for letter in pattern]


def _nemotron_refuses(config: Config) -> str | None:
    if any("moe" in layer for layer in _letters(config)):
        return "its mixture of experts was not verified"
    return "windows of this family were not verified" if config.has("sliding_window") else None


def _lfm2_width(config: Config) -> int:
    width = config.number("block_ff_dim") if config.has("block_ff_dim") else config.number("intermediate_size")
    if config.flag("block_auto_adjust_ff_dim", True):
        width = int(2 * width / 3)
        width = int(config.ratio("block_ffn_dim_multiplier", 1.0) * width)
        multiple = config.number("block_multiple_of", default=256)
        width = -(-width // multiple) * multiple
    return width


def _lfm2_types(config: Config) -> list[str]:
    chosen = config.numbers("full_attn_idxs")
    count = layer_count(config)
    return ["full" if chosen is None or index in chosen else "recurrent" for index in range(count)]


def _granite_layers(config: Config) -> list[tuple[str, ...]]:
    moe = config.number("num_local_experts", default=8, least=0)
    kinds = layer_types(default=lambda asked: ["recurrent"] * layer_count(asked))(config)
    return [(kind, "moe" if moe else "mlp") for kind in kinds]


def _h1_inner(config: Config) -> int:
    if config.has("mamba_d_ssm"):
        return config.number("mamba_d_ssm")
    return int(config.ratio("mamba_expand", 2) * hidden_size(config))


QWEN3_NEXT = Family(
    ("Qwen3NextForCausalLM",),
    columns(_LINEAR, sparse_steps),
    {
        "full": _next_attention(2),
        "recurrent": DeltaNet(),
        "mlp": Mlp(),
        "moe": replace(
            _SHARED_EXPERTS,
            experts=key("num_experts", absent=512),
            active=key("num_experts_per_tok", absent=10),
        ),
    },
    everywhere=ALL_ENDS,
    tied_fixed=True,
)
QWEN3_5 = Family(
    ("Qwen3_5ForCausalLM",),
    columns(_LINEAR, "mlp"),
    {"full": _next_attention(4), "recurrent": DeltaNet(), "mlp": Mlp()},
    recurrent_dtype=_ssm_dtype,
    everywhere=("embedding",),
)
QWEN3_5_MOE = Family(
    ("Qwen3_5MoeForCausalLM",),
    columns(_LINEAR, "moe"),
    {
        "full": _next_attention(2),
        "recurrent": DeltaNet(),
        "moe": replace(
            _SHARED_EXPERTS, experts=key("num_experts", absent=256), active=key("num_experts_per_tok", absent=8)
        ),
    },
    recurrent_dtype=_ssm_dtype,
    everywhere=("embedding",),
)
_MAMBA = Mamba1(
    inner=key("intermediate_size", default=_times_hidden("expand", 2)),
    state_size=key("state_size", absent=16),
    step_rank=_step_rank("time_step_rank"),
    bias=flag("use_bias"),
)
MAMBA = Family(
    ("MambaForCausalLM", "FalconMambaForCausalLM"),
    uniform("recurrent"),
    {"recurrent": _MAMBA},
    norms=Norms(per_layer=1),
    tied=True,
    attention_free=True,
)
MAMBA2 = Family(
    ("Mamba2ForCausalLM",),
    uniform("recurrent"),
    {
        "recurrent": Mamba2(
            heads=key("num_heads", absent=128),
            head_dim=key("head_dim", absent=64),
            state_size=key("state_size", absent=128),
            groups=key("n_groups", absent=8),
            inner=_times_hidden("expand", 2),
            bias=flag("use_bias"),
        )
    },
    norms=Norms(per_layer=1),
    everywhere=ALL_ENDS,
    attention_free=True,
)
JAMBA = Family(
    ("JambaForCausalLM",),
    columns(
        period_and_offset(
            key("attn_layer_period", default=8), key("attn_layer_offset", default=4, least=0), "full", "recurrent"
        ),
        lambda config: period_and_offset(
            key("expert_layer_period", default=2),
            key("expert_layer_offset", default=1, least=0),
            "moe" if config.number("num_experts", default=16) > 1 else "mlp",
            "mlp",
        )(config),
    ),
    {
        "full": Attention(kv_heads=kv_heads_of(8)),
        "recurrent": Mamba1(
            inner=_times_hidden("mamba_expand", 2),
            state_size=key("mamba_d_state", absent=16),
            conv=key("mamba_d_conv", absent=4),
            step_rank=_step_rank("mamba_dt_rank"),
            conv_bias=flag("mamba_conv_bias", True),
            bias=flag("mamba_proj_bias"),
            inner_norms=True,
        ),
        "mlp": Mlp(),
        "moe": Experts(
            experts=key("num_experts", absent=16), active=key("num_experts_per_tok", absent=2), width=intermediate_size
        ),
    },
    tied_fixed=True,
    everywhere=ALL_ENDS,
)
_GRANITE_SHARED = key("shared_intermediate_size", absent=1024)
GRANITE_HYBRID = Family(
    ("GraniteMoeHybridForCausalLM",),
    _granite_layers,
    {
        "full": BIASED,
        "recurrent": Mamba2(
            heads=key("mamba_n_heads", absent=128),
            head_dim=lambda config: (
                config.number("mamba_d_head")
                if isinstance(config.raw("mamba_d_head"), int)
                else int(config.ratio("mamba_expand", 2) * hidden_size(config))
                // config.number("mamba_n_heads", default=128)
            ),
            state_size=key("mamba_d_state", absent=256),
            groups=key("mamba_n_groups", absent=1),
            conv=key("mamba_d_conv", absent=4),
            inner=_times_hidden("mamba_expand", 2),
            conv_bias=flag("mamba_conv_bias", True),
            bias=flag("mamba_proj_bias"),
        ),
        "moe": Experts(
            experts=key("num_local_experts", absent=8), width=intermediate_size, shared_width=_GRANITE_SHARED
        ),
        "mlp": Mlp(width=_GRANITE_SHARED),
    },
    everywhere=ALL_ENDS,
)
FALCON_H1 = Family(
    ("FalconH1ForCausalLM",),
    uniform("full", "recurrent", "mlp"),
    {
        "full": Attention(kv_heads=kv_heads_of(8)),
        "recurrent": Mamba2(
            heads=key("mamba_n_heads", absent=128),
            head_dim=lambda config: (
                config.number("mamba_d_head")
                if isinstance(config.raw("mamba_d_head"), int)
                else _h1_inner(config) // config.number("mamba_n_heads", default=128)
            ),
            state_size=key("mamba_d_state", absent=256),
            groups=key("mamba_n_groups", absent=1),
            conv=key("mamba_d_conv", absent=4),
            inner=_h1_inner,
            conv_bias=flag("mamba_conv_bias", True),
            bias=flag("mamba_proj_bias"),
            norm=flag("mamba_rms_norm"),
        ),
        "mlp": Mlp(),
    },
)
NEMOTRON_H = Family(
    ("NemotronHForCausalLM",),
    _letters,
    {
        "full": Attention(kv_heads=kv_heads_of(8), head_dim=head_dim_of(128)),
        "recurrent": Mamba2(
            heads=key("mamba_num_heads", absent=128),
            head_dim=key("mamba_head_dim", absent=64),
            state_size=key("ssm_state_size", absent=128),
            groups=key("n_groups", "mamba_n_groups", absent=8),
            conv=key("conv_kernel", "mamba_d_conv", absent=4),
            conv_bias=flag("use_conv_bias", True),
            bias=flag("use_bias"),
        ),
        "mlp": Mlp(gated=False, bias=flag("mlp_bias")),
    },
    norms=Norms(per_block=True),
    recurrent_dtype=lambda config: config.word("mamba_ssm_cache_dtype", "float32"),
    refuse=_nemotron_refuses,
    everywhere=ALL_ENDS,
    tied_fixed=True,
)
_LFM2_ATTENTION = Attention(kv_heads=kv_heads_of(8), qk_norm=qk_norm("head"))
LFM2 = Family(
    ("Lfm2ForCausalLM",),
    columns(layer_types(default=_lfm2_types), "mlp"),
    {"full": _LFM2_ATTENTION, "recurrent": ShortConv(), "mlp": Mlp(width=_lfm2_width)},
    tied=True,
    tied_fixed=True,
)
LFM2_MOE = Family(
    ("Lfm2MoeForCausalLM",),
    columns(layer_types(), after(key("num_dense_layers", absent=2, least=0))),
    {
        "full": _LFM2_ATTENTION,
        "recurrent": ShortConv(),
        "mlp": Mlp(),
        "moe": Experts(
            experts=key("num_experts", absent=32),
            active=key("num_experts_per_tok", absent=4),
            width=key("moe_intermediate_size", absent=1792),
            correction=flag("use_expert_bias", True),
        ),
    },
    tied=True,
    tied_fixed=True,
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
