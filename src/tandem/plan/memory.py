"""What lies in the memory of each rank."""

from __future__ import annotations

from dataclasses import dataclass

from tandem.plan.model import Model
from tandem.plan.request import Wishes
from tandem.plan.speed import Layout

#: Buffers of the collective library, if there is more than one rank: an estimate.
COLLECTIVE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Memory:
    """The memory of a rank of one pipeline stage, in bytes."""

    stage: int
    total: int
    weights: int
    activations: int
    communication: int
    reserve: int
    kv_cache: int

    @property
    def missing(self) -> int:
        """Return how much too much it is: without any KV cache, unless the user wants so much of it."""
        used = self.weights + self.activations + self.communication + self.reserve + self.kv_cache
        return max(0, used - self.total)


def batched_tokens(wishes: Wishes, max_model_len: int) -> int:
    """Return how many tokens a step may compute."""
    return wishes.max_num_batched_tokens or min(8192, max(2048, wishes.max_num_seqs, min(max_model_len, 2048)))


def activation_bytes(model: Model, wishes: Wishes, tokens: int, dtype_bytes: int) -> int:
    """Estimate the results that are in memory at once: some of the hidden size, the widest one, and the logits."""
    widest = max((part.widest for layer, _ in model.kinds() for part in layer.parts), default=0)
    logits = wishes.max_num_seqs * model.vocab_size * (dtype_bytes + 4)
    return tokens * (4 * model.hidden_size + 2 * widest) * dtype_bytes + logits


def communication_bytes(model: Model, layout: Layout, tokens: int, dtype_bytes: int) -> int:
    """Estimate the buffers of the collective library."""
    if layout.tensor * layout.pipeline == 1:
        return 0
    return COLLECTIVE_BYTES + 2 * tokens * model.hidden_size * dtype_bytes


def of_stage(
    stage: int, weights: int, *, model: Model, layout: Layout, wishes: Wishes, tokens: int, dtype_bytes: int
) -> Memory:
    """Return the memory of a rank of that stage."""
    total = layout.nodes.gpu_memory_bytes
    activations = activation_bytes(model, wishes, tokens, dtype_bytes)
    communication = communication_bytes(model, layout, tokens, dtype_bytes)
    left = total - weights - activations - communication
    if wishes.kv_cache_memory_bytes is not None:
        # vLLM takes what it is told to; the share of the memory no longer counts.
        room = wishes.kv_cache_memory_bytes
        return Memory(stage, total, weights, activations, communication, max(0, left - room), room)
    reserve = round(total * (1 - wishes.gpu_memory_utilization))
    return Memory(stage, total, weights, activations, communication, reserve, max(0, left - reserve))
