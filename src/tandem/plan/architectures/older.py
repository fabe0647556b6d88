"""Families from before Llama, with names of their own for the same things."""

from __future__ import annotations

from dataclasses import replace

from tandem.plan.architectures.blocks import Attention, Mlp, even_head_dim, heads, hidden_size, linear, norm
from tandem.plan.architectures.family import ALL_ENDS, Family, Norms
from tandem.plan.architectures.patterns import columns, layer_count, uniform
from tandem.plan.config import Config, always, flag, key
from tandem.plan.model import Part

_BOTH = Attention(qkv_bias=always, o_bias=always, kv_heads=heads, head_dim=even_head_dim)


def _four_times(*names: str) -> Mlp:
    return Mlp(width=key(*names, default=lambda config: 4 * hidden_size(config)), gated=False, bias=always)


def _falcon_kv_heads(config: Config) -> int:
    if config.flag("new_decoder_architecture"):
        return config.number("num_kv_heads", default=heads(config))
    return 1 if config.flag("multi_query", True) else heads(config)


def _falcon_norms(config: Config) -> int:
    if config.flag("new_decoder_architecture"):
        return config.number("num_ln_in_parallel_attn", default=2)
    return 1 if config.flag("parallel_attn", True) else 2


class _FalconNorms:
    def build(self, config: Config, ranks: int) -> Part:  # noqa: ARG002
        return Part(norm(hidden_size(config), _falcon_norms(config), bias=True))


class _EmbeddingNorm:
    def build(self, config: Config, ranks: int) -> Part:  # noqa: ARG002
        return Part(norm(hidden_size(config), bias=True))


class _OptEnds:
    """The projections between the embedding's width and the hidden size."""

    def build(self, config: Config, ranks: int) -> Part:  # noqa: ARG002
        width, hidden = config.number("word_embed_proj_dim", default=hidden_size(config)), hidden_size(config)
        return Part(linear(width, hidden) if width != hidden else ())


class _OptLast(_OptEnds):
    """The way back, and a norm if layers have theirs before attention."""

    def build(self, config: Config, ranks: int) -> Part:
        tensors = super().build(config, ranks).tensors
        if config.flag("do_layer_norm_before", True) and not config.flag("_remove_final_layer_norm"):
            tensors += norm(hidden_size(config), bias=True)
        return Part(tensors)


GPT2 = Family(
    ("GPT2LMHeadModel",),
    uniform("full", "mlp"),
    {"full": _BOTH, "mlp": _four_times("n_inner")},
    norms=Norms(bias=True),
    tied=True,
    positions=key("n_positions", "max_position_embeddings", default=1024),
    everywhere=ALL_ENDS,
)
GPT_BIG_CODE = Family(
    ("GPTBigCodeForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(
            qkv_bias=always,
            o_bias=always,
            kv_heads=lambda config: 1 if config.flag("multi_query", True) else heads(config),
            head_dim=even_head_dim,
        ),
        "mlp": replace(_four_times("n_inner"), shared_out=False),
    },
    norms=Norms(bias=True),
    tied=True,
    positions=key("n_positions", "max_position_embeddings", default=1024),
    everywhere=ALL_ENDS,
)
GPT_J = Family(
    ("GPTJForCausalLM",),
    uniform("full", "mlp"),
    {"full": Attention(kv_heads=heads, head_dim=even_head_dim), "mlp": _four_times("n_inner")},
    norms=Norms(per_layer=1, bias=True),
    head_bias=always,
    everywhere=ALL_ENDS,
)
GPT_NEOX = Family(
    ("GPTNeoXForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(
            qkv_bias=flag("attention_bias", True),
            o_bias=flag("attention_bias", True),
            kv_heads=heads,
            head_dim=even_head_dim,
        ),
        "mlp": Mlp(gated=False, bias=always),
    },
    norms=Norms(bias=True),
)
OPT = Family(
    ("OPTForCausalLM",),
    uniform("full", "mlp"),
    {
        "full": Attention(
            qkv_bias=flag("enable_bias", True),
            o_bias=flag("enable_bias", True),
            kv_heads=heads,
            head_dim=even_head_dim,
        ),
        "mlp": Mlp(width=key("ffn_dim"), gated=False, bias=flag("enable_bias", True)),
    },
    norms=Norms(bias=True, final=0),
    tied=True,
    embedding_width=key("word_embed_proj_dim", default=hidden_size),
    # Two rows more than positions.
    positions=lambda config: config.number("max_position_embeddings") + 2,
    first=_OptEnds(),
    last=_OptLast(),
    everywhere=ALL_ENDS,
)
BLOOM = Family(
    ("BloomForCausalLM",),
    uniform("full", "mlp"),
    {"full": _BOTH, "mlp": _four_times()},
    norms=Norms(bias=True),
    tied=True,
    first=_EmbeddingNorm(),
)
FALCON = Family(
    ("FalconForCausalLM",),
    columns(lambda config: ["full"] * layer_count(config), "mlp", "norms"),
    {
        "full": Attention(
            qkv_bias=flag("bias"), o_bias=flag("bias"), kv_heads=_falcon_kv_heads, head_dim=even_head_dim
        ),
        "mlp": Mlp(
            width=key("ffn_hidden_size", default=lambda config: 4 * hidden_size(config)), gated=False, bias=flag("bias")
        ),
        "norms": _FalconNorms(),
    },
    norms=Norms(per_layer=0, bias=True),
    tied=True,
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
