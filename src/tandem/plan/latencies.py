"""How fast each way to cut a model would be if only the link's latency were another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tandem.plan.config import Config
from tandem.plan.plan import make_plan
from tandem.plan.request import Link, Nodes, Wishes
from tandem.plan.weights import Checkpoint

#: A direct cable with RDMA has some microseconds, TCP over a switch some hundred.
_SHORTEST_S, _LONGEST_S = 1e-6, 1e-3
_STEPS = 40


@dataclass(frozen=True)
class Curve:
    """The tokens/s of one answer at its beginning, by the seconds of latency."""

    tensor: int
    pipeline: int
    fits: bool
    points: Sequence[tuple[float, float]]


def curves(
    config: Config,
    nodes: Nodes,
    link: Link,
    wishes: Wishes,
    checkpoint: Checkpoint | None = None,
    *,
    best: tuple[int, int],
) -> list[Curve]:
    """Return a curve for each way that leaves no GPU idle, and for the best; first that of the most tensor parallel."""
    free = replace(wishes, tensor_parallel_size=None, pipeline_parallel_size=None)
    points: dict[tuple[int, int], list[tuple[float, float]]] = {}
    fits: dict[tuple[int, int], bool] = {}
    for latency_s in latencies(link):
        document = make_plan(config, nodes, replace(link, latency_s=latency_s), free, checkpoint)
        for row in document["alternatives"]:
            way = row["tensor_parallel_size"], row["pipeline_parallel_size"]
            if "refused" not in row and (math.prod(way) == nodes.ranks or way == best):
                points.setdefault(way, []).append((latency_s, row["decode_ceiling_tokens_per_s"]))
                fits[way] = row["fits"]
    return [Curve(*way, fits[way], points[way]) for way in sorted(points, reverse=True)]


def latencies(link: Link) -> list[float]:
    """Return seconds, evenly on a logarithmic scale, among them that of the link."""
    own = [link.latency_s] if link.latency_s > 0 else []
    low, high = min([_SHORTEST_S, *own]), max([_LONGEST_S, *own])
    return sorted({*(low * (high / low) ** (step / _STEPS) for step in range(_STEPS + 1)), *own})
