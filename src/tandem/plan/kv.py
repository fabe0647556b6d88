"""The KV cache as vLLM lays it out: pages, blocks and groups.

Every layer has a page for each block of tokens. Layers of one kind share block numbers in groups of equal size, and all
groups draw blocks from one pool; so a block costs what the largest group needs, and a sequence needs blocks of every
group. That is why the tokens that fit are not memory divided by bytes per token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tandem.plan.model import Cache, Model, stage_layers

#: From here on the larger of two counts of layers no longer is the size of a group.
_NEARLY_EQUAL = 1.5
#: Hybrid models with latent attention have blocks of a multiple of this.
_LATENT_HYBRID_BLOCK = 128


@dataclass(frozen=True)
class Format:
    """The types and sizes in which a cache is kept."""

    dtype_bytes: int
    kv_bytes: int
    recurrent_bytes: int
    block_tokens: int
    prefix_caching: bool = True

    def page(self, cache: Cache, block_tokens: int) -> int:
        """Return the bytes of one block of one layer."""
        if cache.kind == "state":
            return state_bytes(cache, self)
        return (cache.values_per_token * self.kv_bytes + cache.raw_bytes_per_token) * block_tokens


@dataclass(frozen=True)
class Wanted:
    """How long sequences are, and how many tokens may be on their way."""

    max_model_len: int
    in_flight_tokens: int


@dataclass(frozen=True)
class Group:
    """Layers that share their blocks."""

    cache: Cache
    block_tokens: int
    #: Of each layer: its number, and the bytes of its page.
    pages: tuple[tuple[int, int], ...]

    def blocks_per_request(self, wanted: Wanted, *, prefix_caching: bool) -> int:
        """Return how many blocks one sequence of the greatest length holds."""
        length, window = wanted.max_model_len, self.cache.window_tokens or 0
        if self.cache.kind == "state":
            return self.cache.copies if prefix_caching else 1
        if self.cache.kind == "sliding":
            return _ceil(min(window - 1 + wanted.in_flight_tokens, length), self.block_tokens) + 1
        if self.cache.kind == "chunked":
            return _ceil(min(window + wanted.in_flight_tokens, length), self.block_tokens)
        return _ceil(length, self.block_tokens)


@dataclass(frozen=True)
class Capacity:
    """What fits into the memory for the KV cache."""

    num_blocks: int
    bytes_per_block: int
    blocks_per_request: int
    block_tokens: int
    tokens: int
    concurrency: float

    @property
    def bytes_per_request(self) -> int:
        """Return the memory of one sequence of the greatest length."""
        return self.blocks_per_request * self.bytes_per_block


def state_bytes(cache: Cache, form: Format) -> int:
    """Return the bytes of one copy of a layer's state."""
    sizes = {"model": form.dtype_bytes, "recurrent": form.recurrent_bytes, "float32": 4}
    return sum(part.elements * sizes[part.kind] for part in cache.state)


def block_tokens_of(model: Model, form: Format) -> int:
    """Return the tokens of a block: in hybrid models as many as one copy of the state has room for."""
    caches = [cache for layer, _ in model.kinds() for cache in layer.caches]
    states = [state_bytes(cache, form) for cache in caches if cache.kind == "state"]
    per_token = [form.page(cache, 1) for cache in caches if cache.kind in ("full", "latent")]
    if not states or not per_token:
        return form.block_tokens
    align = form.block_tokens
    if any(cache.kind == "latent" for cache in caches):
        align = max(align, _LATENT_HYBRID_BLOCK)
    return max(form.block_tokens, align * _ceil(max(states), align * max(per_token)))


def groups_of(model: Model, form: Format) -> list[Group]:
    """Return the groups of layers that share blocks."""
    block = block_tokens_of(model, form)
    entries = [(number, cache) for number, layer in enumerate(model.layers) for cache in layer.caches]
    if not entries:
        return []
    attention = [form.page(cache, block) for _, cache in entries if cache.kind != "state"]
    largest = max([*attention, *(form.page(cache, block) for _, cache in entries if cache.kind == "state")])
    grown = {cache.kind for _, cache in entries} <= {"full", "latent"}
    alike: dict[tuple[str, int | None, int], list[tuple[int, Cache, int]]] = {}
    for number, cache in entries:
        page = form.page(cache, block)
        if grown:
            # All layers grow alike, whatever their pages are: one group.
            alike.setdefault(("full", None, block), []).append((number, cache, page))
            continue
        tokens = block * (largest // page) if cache.kind != "state" and largest % page == 0 else block
        alike.setdefault((cache.kind, cache.window_tokens, tokens), []).append((number, cache, largest))
    return [
        Group(members[0][1], tokens, tuple((number, page) for number, _, page in members))
        for (_, _, tokens), bucket in alike.items()
        for members in _split(bucket, [len(other) for other in alike.values()])
    ]


def _split(
    bucket: Sequence[tuple[int, Cache, int]], counts: Sequence[int]
) -> Iterator[Sequence[tuple[int, Cache, int]]]:
    size = max(counts) if max(counts) < _NEARLY_EQUAL * min(counts) else min(counts)
    number = _ceil(len(bucket), size)
    for start in range(number):
        yield bucket[start::number]


def capacity(model: Model, form: Format, wanted: Wanted, stages: int, memory_bytes: Sequence[int]) -> Capacity | None:
    """Return what fits if the ranks of each stage have that much memory; None if the model remembers nothing."""
    groups = groups_of(model, form)
    if not groups:
        return None
    per_request = sum(group.blocks_per_request(wanted, prefix_caching=form.prefix_caching) for group in groups)
    bounds = stage_layers(len(model.layers), stages)
    num_blocks: int | None = None
    most = 0
    for (start, end), memory in zip(bounds, memory_bytes, strict=True):
        per_block = max(sum(page for number, page in group.pages if start <= number < end) for group in groups)
        if not per_block:
            continue
        most = max(most, per_block)
        fitting = max(0, memory) // per_block
        num_blocks = fitting if num_blocks is None else min(num_blocks, fitting)
    blocks = num_blocks or 0
    concurrency = blocks / per_request
    return Capacity(
        num_blocks=blocks,
        bytes_per_block=most,
        blocks_per_request=per_request,
        block_tokens=block_tokens_of(model, form),
        tokens=int(concurrency * wanted.max_model_len),
        concurrency=concurrency,
    )


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)


def growing_bytes_per_token(model: Model, form: Format, layers: tuple[int, int] | None = None) -> int:
    """Return the bytes per token of the layers whose cache grows without bound."""
    return sum(
        times * form.page(cache, 1)
        for layer, times in model.kinds(*(layers or ()))
        for cache in layer.caches
        if cache.kind in ("full", "latent")
    )


def windows(model: Model, form: Format) -> list[dict[str, int]]:
    """Return the bytes per token of the layers that remember a window, by window."""
    found: dict[int, int] = {}
    for layer, times in model.kinds():
        for cache in layer.caches:
            if cache.kind in ("sliding", "chunked") and cache.window_tokens:
                found[cache.window_tokens] = found.get(cache.window_tokens, 0) + times * form.page(cache, 1)
    return [{"window_tokens": window, "bytes_per_token": size} for window, size in sorted(found.items())]


def states_bytes(model: Model, form: Format) -> int:
    """Return the bytes of one copy of the fixed state of all layers."""
    return sum(
        times * state_bytes(cache, form)
        for layer, times in model.kinds()
        for cache in layer.caches
        if cache.kind == "state"
    )
