"""Gemma 3n: four hidden states side by side, inputs of their own for each layer, and layers that share a cache."""

from __future__ import annotations

from dataclasses import replace

from tandem.plan.architectures.blocks import Attention, Mlp, head_dim_of, hidden_size, kv_heads_of, norm, qk_norm
from tandem.plan.architectures.dense import attentions
from tandem.plan.architectures.family import VOCABULARY_MULTIPLE, Family, Norms
from tandem.plan.architectures.patterns import every, layer_count, layer_types
from tandem.plan.config import Config, constant, key
from tandem.plan.model import Part, Tensor, share

_KINDS = layer_types(default=every(constant(5)))
_side_by_side = key("altup_num_inputs", absent=4)
_own_input = key("hidden_size_per_layer_input", absent=256)


def _layers(config: Config) -> list[tuple[str, ...]]:
    kinds = _KINDS(config)
    sharing = config.number("num_kv_shared_layers", default=15, least=0)
    first = layer_count(config) - sharing
    if first < 1:
        config.refuse("num_kv_shared_layers", "fewer than num_hidden_layers")
    return [(kind if index < first else "shared", "mlp", "extras") for index, kind in enumerate(kinds)]


def _width(config: Config) -> int:
    value = config.raw("intermediate_size")
    if not isinstance(value, list):
        return config.number("intermediate_size", default=16384)
    widths = config.numbers("intermediate_size", least=1) or ()
    if len(set(widths)) != 1 or len(widths) != layer_count(config):
        config.refuse("intermediate_size", "one width for all layers; others were not verified")
    return widths[0]


class _Extras:
    """What each layer has beside attention and the feed-forward block."""

    def build(self, config: Config, ranks: int) -> Part:
        width, own_input, sides = hidden_size(config), _own_input(config), _side_by_side(config)
        rank = share(config.number("laurel_rank", default=64), ranks, "laurel_rank")
        tensors = (
            Tensor(width, float32=True),
            Tensor(sides, sides),
            Tensor(sides * sides, sides),
            Tensor(sides, width),
            *norm(width),
            Tensor(rank, width),
            Tensor(width, rank),
            *norm(width),
            Tensor(own_input, width),
            Tensor(width, own_input),
        )
        return Part(tensors, all_reduces=1)


class _First:
    """The table of the layers' own inputs, and the ways to the hidden states at the side."""

    def build(self, config: Config, ranks: int) -> Part:
        width, own_input, count = hidden_size(config), _own_input(config), layer_count(config)
        vocab = config.number("vocab_size_per_layer_input", default=262144)
        rows = share(-(-vocab // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE, ranks, "the padded vocabulary")
        return Part(
            (
                Tensor(rows, count * own_input, role="embedding"),
                Tensor(share(count * own_input, ranks, "the layers' own inputs"), width),
                *norm(own_input),
                Tensor(share(width, ranks, "the hidden size"), width, _side_by_side(config) - 1),
            )
        )


class _Last:
    """The way back from the hidden states at the side."""

    def build(self, config: Config, ranks: int) -> Part:
        width = hidden_size(config)
        return Part((Tensor(share(width, ranks, "the hidden size"), width, _side_by_side(config) - 1),))


_ATTENTION = Attention(kv_heads=kv_heads_of(2), head_dim=head_dim_of(256), qk_norm=qk_norm("head"))
GEMMA3N = Family(
    ("Gemma3nForCausalLM",),
    _layers,
    {
        **attentions(_ATTENTION, 512),
        "shared": replace(_ATTENTION, shared=True),
        "mlp": Mlp(width=_width),
        "extras": _Extras(),
    },
    norms=Norms(per_layer=5),
    tied=True,
    vocab=key("vocab_size", absent=262400),
    first=_First(),
    last=_Last(),
)

FAMILIES = (GEMMA3N,)
