"""The nearest things that work, if a plan does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tandem.plan.candidates import Candidate, has_room, room, ways
from tandem.plan.flags import ROUND_BYTES
from tandem.plan.request import Nodes, Wishes
from tandem.plan.subject import Subject, subject_of

#: Shorter contexts are of no use; more nodes are not what this project is for.
_SHORTEST = 256
_MOST_NODES = 16


def of(subject: Subject, chosen: Candidate, wishes: Wishes, *, longest: int | None) -> list[dict[str, Any]]:
    """Return changes, each of which alone makes the plan work."""
    wanted = wishes.max_model_len or 0
    length = min(wanted, longest or wanted)
    found: list[dict[str, Any]] = []
    shorter = _length(subject, chosen, wishes, length)
    if shorter and (not chosen.fits or wanted != length):
        found.append({"change": "max_model_len", "value": shorter, "text": f"a context of {shorter} tokens fits"})
    if chosen.fits:
        return found
    less = _kv_cache(subject, chosen, wishes, length)
    if less:
        text = f"it fits with {less} bytes of KV cache"
        found.append({"change": "kv_cache_memory_bytes", "value": less, "text": text})
    if wishes.kv_cache_dtype == "auto" and subject.form.kv_bytes > 1 and not chosen.weights_missing:
        other = _again(subject, chosen, replace(wishes, kv_cache_dtype="fp8"), length)
        if other:
            found.append({"change": "kv_cache_dtype", "value": "fp8", "text": "it fits with an FP8 KV cache"})
    if subject.scheme.name == "none" and wishes.quantization is None and subject.checkpoint is None:
        other = _again(subject, chosen, replace(wishes, quantization="fp8"), length)
        if other:
            found.append({"change": "quantization", "value": "fp8", "text": "it fits with FP8 weights"})
    count = _nodes(subject, chosen, wishes, length)
    if count:
        found.append({"change": "nodes", "value": count, "text": f"it fits on {count} such nodes"})
    return found


def _length(subject: Subject, chosen: Candidate, wishes: Wishes, most: int) -> int | None:
    def fits(length: int) -> bool:
        return has_room(*room(subject, chosen.model, chosen.layout, wishes, length))

    if fits(most):
        return most
    low, high = _SHORTEST, most
    if high <= low or not fits(low):
        return None
    while high - low > _SHORTEST:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low // _SHORTEST * _SHORTEST


def _kv_cache(subject: Subject, chosen: Candidate, wishes: Wishes, length: int) -> int | None:
    """Return the bytes that are left, if the user wants another number."""
    if not wishes.kv_cache_memory_bytes:
        return None
    free = replace(wishes, kv_cache_memory_bytes=None)
    memories, capacity = room(subject, chosen.model, chosen.layout, free, length)
    left = min(each.kv_cache for each in memories) // ROUND_BYTES * ROUND_BYTES
    return left if has_room(memories, capacity) else None


def _again(subject: Subject, chosen: Candidate, wishes: Wishes, length: int) -> bool:
    other = subject_of(subject.config, wishes, subject.checkpoint)
    return has_room(*room(other, chosen.model, chosen.layout, wishes, length))


def _nodes(subject: Subject, chosen: Candidate, wishes: Wishes, length: int) -> int | None:
    free = replace(wishes, tensor_parallel_size=None, pipeline_parallel_size=None)
    whole = subject.weight_bytes(subject.model(1))
    for count in range(chosen.layout.nodes.count + 1, _MOST_NODES + 1):
        nodes: Nodes = replace(chosen.layout.nodes, count=count)
        if nodes.ranks * nodes.gpu_memory_bytes < whole:
            continue
        layouts, _ = ways(subject, nodes, chosen.layout.link, free)
        if any(has_room(*room(subject, subject.model(way.tensor), way, free, length)) for way in layouts):
            return count
    return None
