"""What a model is made of, as one rank holds it: tensors, and what each layer remembers of a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tandem.errors import TandemError

#: How a tensor is treated: quantised or not, read for every token or by the row.
Role = Literal["linear", "expert", "embedding", "head", "plain", "vision"]
#: How a layer's memory of a sequence grows.
CacheKind = Literal["full", "latent", "sliding", "chunked", "state"]


class IndivisibleError(TandemError):
    """A model cannot be cut into that many ranks."""


@dataclass(frozen=True)
class Tensor:
    """``copies`` matrices of ``outputs`` x ``inputs``, on one rank."""

    outputs: int
    inputs: int = 1
    copies: int = 1
    role: Role = "plain"
    float32: bool = False
    #: Of the copies, how many are read for one token (experts).
    active_copies: int | None = None

    @property
    def elements(self) -> int:
        """Return the number of parameters."""
        return self.outputs * self.inputs * self.copies

    @property
    def active_share(self) -> float:
        """Return the share of the parameters that one token needs."""
        if self.role == "embedding":
            return 0.0
        return 1.0 if self.active_copies is None else min(1.0, self.active_copies / self.copies)


#: Tensors, each with how many of its kind there are.
Counted = list[tuple[Tensor, int]]


@dataclass(frozen=True)
class State:
    """A tensor of fixed size that a layer keeps for each sequence."""

    elements: int
    #: The recurrent part has a type of its own; the rest is of the model's type, or always of float32.
    kind: Literal["model", "recurrent", "float32"] = "model"


@dataclass(frozen=True)
class Cache:
    """What one layer remembers, on one rank."""

    kind: CacheKind
    #: Numbers per token in the KV cache's type.
    values_per_token: int = 0
    #: Bytes per token whatever the KV cache's type is.
    raw_bytes_per_token: int = 0
    window_tokens: int | None = None
    state: tuple[State, ...] = ()
    #: Of a state, how many a sequence holds while prefixes are cached.
    copies: int = 2
    #: Of these, ranks hold the same numbers instead of shares.
    replicated: bool = False


@dataclass(frozen=True)
class Part:
    """One piece of a layer."""

    tensors: tuple[Tensor, ...]
    caches: tuple[Cache, ...] = ()
    #: Results that ranks add up: one all-reduce each.
    all_reduces: int = 0
    #: Numbers per token that the widest intermediate result has on a rank.
    widest: int = 0


@dataclass(frozen=True)
class Layer:
    """One layer, on one rank."""

    parts: tuple[Part, ...]

    @property
    def tensors(self) -> Iterator[Tensor]:
        """Return the tensors of all parts."""
        return (tensor for part in self.parts for tensor in part.tensors)

    @property
    def caches(self) -> Iterator[Cache]:
        """Return what the layer remembers."""
        return (cache for part in self.parts for cache in part.caches)


@dataclass(frozen=True)
class Model:
    """A model cut into ``ranks`` by tensor parallelism, as one of them holds it."""

    architecture: str
    ranks: int
    hidden_size: int
    vocab_size: int
    layers: tuple[Layer, ...]
    embedding: tuple[Tensor, ...]
    head: tuple[Tensor, ...]
    tied: bool
    max_positions: int | None
    #: What the first and the last pipeline stage hold besides.
    first: tuple[Tensor, ...] = ()
    last: tuple[Tensor, ...] = ()
    vision: tuple[Tensor, ...] = ()
    notes: tuple[str, ...] = ()
    #: Of a family without attention, where prompts are never shared.
    attention_free: bool = False
    #: The type that the model asks for its recurrent state, unless the user chooses.
    recurrent_dtype: str | None = None
    #: Of embedding, first, last and head: what vLLM keeps on every stage of this family.
    everywhere: tuple[str, ...] = ()
    #: What was counted already; not a part of what the model is.
    counted: dict[tuple[int, int | None], list[tuple[Layer, int]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def stage(self, number: int, stages: int) -> Counted:
        """Return the tensors of one pipeline stage, each with how many of its kind there are."""
        start, end = stage_layers(len(self.layers), stages)[number]
        found = [(tensor, times) for layer, times in self.kinds(start, end) for tensor in layer.tensors]
        first, last = number == 0, number == stages - 1
        # vLLM loads the vision tower everywhere.
        single = list(self.vision)
        for name, here in (("embedding", first), ("first", first), ("last", last), ("head", last)):
            if here or name in self.everywhere:
                single += getattr(self, name)
        # A head that is the table is in memory, and read whole, on the last stage too.
        if self.tied and last and not first and "embedding" not in self.everywhere:
            single += self.embedding
        return [*found, *((tensor, 1) for tensor in single)]

    def kinds(self, start: int = 0, end: int | None = None) -> list[tuple[Layer, int]]:
        """Return the layers from ``start`` to before ``end`` by kind: many are the same object."""
        if (start, end) not in self.counted:
            counts: dict[int, tuple[Layer, int]] = {}
            for layer in self.layers[start:end]:
                counts[id(layer)] = (layer, counts.get(id(layer), (layer, 0))[1] + 1)
            self.counted[start, end] = list(counts.values())
        return self.counted[start, end]


def stage_layers(layers: int, stages: int) -> list[tuple[int, int]]:
    """Return the first and one past the last layer of each pipeline stage, as vLLM cuts them.

    What is left over goes to the stages before the last, which also has the head to compute.
    """
    sizes = [layers // stages] * stages
    for offset in range(2, layers % stages + 2):
        sizes[-offset] += 1
    bounds = []
    start = 0
    for size in sizes:
        bounds.append((start, start + size))
        start += size
    return bounds


def share(value: int, ranks: int, what: str) -> int:
    """Return one rank's share of something that must divide."""
    if value % ranks:
        raise IndivisibleError(f"{what} {value} does not divide by {ranks}")
    return value // ranks


def kv_share(kv_heads: int, ranks: int) -> int:
    """Return one rank's KV heads: a share, or one of them that several ranks hold."""
    if kv_heads % ranks == 0:
        return kv_heads // ranks
    if ranks % kv_heads == 0:
        return 1
    raise IndivisibleError(f"{kv_heads} KV heads neither divide by {ranks} nor divide it")
