"""The plan of an engine in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tandem.plan.engines import EnginePlan
from tandem.plan.request import GIB, Link


def lines_of(plan: EnginePlan, speed: Mapping[str, Any] | str, link: Link | None, source: str) -> list[str]:
    """Return what a person wants to know of an engine that is not refused.

    ``speed`` is the plan with real speeds, or why there is none; ``source`` says whose the figures of the link are.
    """
    name, document = plan.engine["name"], plan.document
    if document is None:
        return [f"{name}: no plan is made: {plan.skipped}"]
    fullest = max(document["memory_per_rank"], key=lambda rank: int(rank["weight_bytes"]))
    sizes = (document[f"{kind}_parallel_size"] for kind in ("tensor", "pipeline"))
    room, most = document["max_concurrency"], document["max_num_seqs"]
    parts = (fullest[f"{part}_bytes"] / GIB for part in ("total", "weight", "kv_cache"))
    return [
        "{}: fits; tensor parallel {}, pipeline parallel {}".format(name, *sizes),
        f"  context {document['max_model_len']} tokens: room for {room:.1f} sequences at once, max_num_seqs is {most}",
        "  a rank has {:.2f} GiB: {:.2f} of weights, {:.2f} of KV cache".format(*parts),
        f"  one answer: {speed if isinstance(speed, str) else _speed(speed, link, source)}",
        f"  filled in: {', '.join(map(_shown, plan.filled.items())) or 'nothing was left out'}",
    ]


def _speed(speed: Mapping[str, Any], link: Link | None, source: str) -> str:
    ceiling = f"at most {speed['decode_ceiling_tokens_per_s']:g} tokens/s"
    if link is None:
        return ceiling
    figures = f"{8 * link.bytes_per_s / 1e9:.3g} Gb/s, {1e6 * link.latency_s:.3g} usec, {source}"
    return f"{ceiling}, {100 * speed['allreduce_share']:.1f} % of it in all-reduces over the link ({figures})"


def _shown(item: tuple[str, Any]) -> str:
    name, value = item
    return f"{name} {str(value).lower() if isinstance(value, bool) else value}"
