"""The highest speed that memory and the link allow: kernels, sampling and scheduling come on top."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tandem.plan import kv
from tandem.plan.model import Model, stage_layers
from tandem.plan.quantization import Scheme
from tandem.plan.request import Link, Nodes
from tandem.plan.weights import active_bytes, active_parameters


@dataclass(frozen=True)
class Layout:
    """How a model is cut."""

    tensor: int
    pipeline: int
    nodes: Nodes
    link: Link | None

    @property
    def nodes_per_stage(self) -> int:
        """Return how many nodes the ranks of a stage are on."""
        return max(1, self.tensor // self.nodes.gpus_per_node)

    @property
    def hops(self) -> int:
        """Return how many boundaries between stages lie between nodes."""
        return sum((stage * self.tensor) % self.nodes.gpus_per_node == 0 for stage in range(1, self.pipeline))

    def all_reduce_s(self, size_bytes: float) -> float:
        """Return the least time in which nodes can add up a result of that size.

        With any algorithm a rank sends and receives 2 (n - 1) / n of it, in at least log2 n steps.
        """
        count = self.nodes_per_stage
        if count == 1 or self.link is None:
            return 0.0
        return math.ceil(math.log2(count)) * self.link.latency_s + 2 * (count - 1) / count * size_bytes / (
            self.link.bytes_per_s
        )

    def hand_over_s(self, size_bytes: float) -> float:
        """Return the time to pass a result from stage to stage, over all of them."""
        if not self.hops or self.link is None:
            return 0.0
        return self.hops * (self.link.latency_s + size_bytes / self.link.bytes_per_s)


@dataclass(frozen=True)
class Step:
    """The least time of one step of decoding."""

    memory_s: float
    all_reduce_s: float
    hand_over_s: float
    #: The longest stage: what limits a full pipeline.
    slowest_stage_s: float

    @property
    def total_s(self) -> float:
        """Return the time until all stages are through."""
        return self.memory_s + self.all_reduce_s + self.hand_over_s

    @property
    def all_reduce_share(self) -> float:
        """Return the part of the time that ranks wait for each other."""
        return self.all_reduce_s / self.total_s


def all_reduces(model: Model, start: int = 0, end: int | None = None) -> int:
    """Return how many results ranks add up in some layers: two in most, after attention and after the feed-forward."""
    return sum(times * part.all_reduces for layer, times in model.kinds(start, end) for part in layer.parts)


def step(model: Model, layout: Layout, scheme: Scheme, form: kv.Format, *, sequences: int, context: int) -> Step:
    """Return the least time of one token for each of some sequences of that length."""
    result_bytes = sequences * model.hidden_size * form.dtype_bytes
    one = layout.all_reduce_s(result_bytes)
    memory, stages = 0.0, []
    for number, (start, end) in enumerate(stage_layers(len(model.layers), layout.pipeline)):
        size = active_bytes(model.stage(number, layout.pipeline), scheme, form.dtype_bytes, sequences)
        size += sequences * read_per_token(model, form, (start, end), context)
        seconds = size / layout.nodes.memory_bandwidth_bytes_per_s
        memory += seconds
        stages.append(seconds + one * all_reduces(model, start, end))
    added = one * all_reduces(model)
    return Step(memory, added, layout.hand_over_s(result_bytes), max(stages))


def read_per_token(model: Model, form: kv.Format, layers: tuple[int, int], context: int) -> float:
    """Return the bytes of a sequence's memory that one more token reads."""
    total = 0
    for layer, times in model.kinds(*layers):
        for cache in layer.caches:
            if cache.kind == "state":
                total += times * kv.state_bytes(cache, form)
            else:
                total += times * form.page(cache, 1) * min(context, cache.window_tokens or context)
    return total


def first_token_s(model: Model, layout: Layout, scheme: Scheme, form: kv.Format, prompt: int) -> float:
    """Return the least time until the first token of a prompt: the slower of computing and of reading, and the link."""
    reading = step(model, layout, scheme, form, sequences=1, context=0).memory_s
    computing = 0.0
    if layout.nodes.gpu_flops:
        tensors = [tensor for number in range(layout.pipeline) for tensor in model.stage(number, layout.pipeline)]
        computing = 2 * active_parameters(tensors) * prompt / layout.nodes.gpu_flops
    size = prompt * model.hidden_size * form.dtype_bytes
    link = layout.all_reduce_s(size) * all_reduces(model) + layout.hand_over_s(size)
    return max(reading, computing) + link
