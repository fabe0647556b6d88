"""A family of models: its blocks, and how they are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tandem.errors import TandemError
from tandem.plan.architectures.blocks import Block, hidden_size, norm
from tandem.plan.architectures.patterns import Layers
from tandem.plan.config import Config, Flag, Number, key, never
from tandem.plan.model import Layer, Model, Part, Tensor, share

#: Code that does not look which stage it is on.
ALL_ENDS = ("embedding", "first", "last", "head")
vocab_size: Number = key("vocab_size")
#: vLLM makes the vocabulary a multiple of this.
VOCABULARY_MULTIPLE = 64


@dataclass(frozen=True)
class Norms:
    """The normalisations of layers and of the end."""

    #: Per layer: a number, or one for each block that it has.
    per_layer: int = 2
    per_block: bool = False
    bias: bool = False
    final: int = 1
    weight: bool = True

    def of(self, blocks: tuple[str, ...], width: int) -> Part:
        """Return those of one layer."""
        count = len(blocks) if self.per_block else self.per_layer
        return Part(norm(width, count if self.weight else 0, bias=self.bias))

    def last(self, width: int) -> tuple[Tensor, ...]:
        """Return those after the last layer."""
        return norm(width, self.final if self.weight else 0, bias=self.bias)


@dataclass(frozen=True)
class Family:
    """What the models of some architectures have in common."""

    architectures: tuple[str, ...]
    layers: Layers
    blocks: Mapping[str, Block]
    norms: Norms = Norms()
    tied: bool = False
    #: Whether the config is asked; some families are always tied.
    tied_fixed: bool = False
    vocab: Number = vocab_size
    hidden: Number = hidden_size
    #: The width of the embedding if it is not the hidden size.
    embedding_width: Number | None = None
    head_bias: Flag = never
    #: Rows of a table of positions.
    positions: Number | None = None
    max_positions: tuple[str, ...] = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    #: Other tensors at the beginning and at the end.
    first: Block | None = None
    last: Block | None = None
    #: No layer has attention, and prompts are never shared.
    attention_free: bool = False
    #: What vLLM keeps on every pipeline stage instead of on the first or the last.
    everywhere: tuple[str, ...] = ()
    recurrent_dtype: Callable[[Config], str | None] = lambda _config: None
    #: A reason why a config of this family is not understood.
    refuse: Callable[[Config], str | None] = lambda _config: None

    def build(self, config: Config, architecture: str, ranks: int, *, tied: bool | None = None) -> Model:
        """Return the model as one of ``ranks`` holds it."""
        reason = self.refuse(config)
        if reason:
            raise TandemError(f"{config.where}: {architecture}: {reason}")
        hidden, vocab = self.hidden(config), self.vocab(config)
        parts: dict[str, Part] = {}
        layers: dict[tuple[str, ...], Layer] = {}
        names = self.layers(config)
        for blocks in names:
            if blocks in layers:
                continue
            for name in blocks:
                if name not in parts:
                    parts[name] = self.blocks[name].build(config, ranks)
            layers[blocks] = Layer((*(parts[name] for name in blocks), self.norms.of(blocks, hidden)))
        padded = -(-vocab // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
        own = share(padded, ranks, "the padded vocabulary")
        width = self.embedding_width(config) if self.embedding_width else hidden
        is_tied = self.tied if self.tied_fixed else config.flag("tie_word_embeddings", self.tied)
        is_tied = is_tied if tied is None else tied
        head = [Tensor(own, width, role="head")] if not is_tied else []
        if self.head_bias(config):
            head.append(Tensor(own))
        first = list(self.first.build(config, ranks).tensors) if self.first else []
        if self.positions:
            first.append(Tensor(self.positions(config), hidden, role="embedding"))
        last = list(self.last.build(config, ranks).tensors) if self.last else []
        return Model(
            architecture=architecture,
            ranks=ranks,
            hidden_size=hidden,
            vocab_size=vocab,
            layers=tuple(layers[blocks] for blocks in names),
            embedding=(Tensor(own, width, role="head" if is_tied else "embedding"),),
            head=tuple(head),
            tied=is_tied,
            max_positions=config.number(*self.max_positions) if config.has(*self.max_positions) else None,
            first=tuple(first),
            last=(*self.norms.last(hidden), *last),
            recurrent_dtype=self.recurrent_dtype(config),
            everywhere=self.everywhere,
            attention_free=self.attention_free,
        )
