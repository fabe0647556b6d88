"""Routes the labelled requests by one model, and says how well, how fast and with how much memory."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from benchmarks.router_embeddings.candidates import CANDIDATES, installed_mib

if TYPE_CHECKING:
    from benchmarks.router_embeddings.candidates import Embed
    from tandem.router.routing.embedder import Vectors

REQUESTS = Path(__file__).with_name("requests.yaml")
#: About 500 tokens: the longest that the router hands on.
LONG = "How is the weather in the mountains, and what should we take along? " * 30


def measure(name: str) -> dict[str, Any]:
    """Return the row of the table for a model."""
    packages, make = CANDIDATES[name]
    before = _resident_mib()
    start = time.perf_counter()
    embed = make()
    load_sec = time.perf_counter() - start
    labelled = yaml.safe_load(REQUESTS.read_text(encoding="utf-8"))
    routes = list(labelled["routes"].values())
    texts = [text for route in routes for text in route["requests"]] + labelled["other"]
    own = [place for place, route in enumerate(routes) for _ in route["requests"]]
    labels = np.array(own + [-1] * len(labelled["other"]))
    vectors, times_ms = _timed(embed, texts)
    likeness = [vectors @ embed(route["candidates"]).T for route in routes]
    _, long_ms = _timed(embed, [LONG[:2048]] * 5)
    row: dict[str, Any] = {
        "model": name,
        "p50_ms": float(np.quantile(times_ms, 0.5)),
        "p99_ms": float(np.quantile(times_ms, 0.99)),
        "long_ms": float(np.quantile(long_ms, 0.5)),
        "memory_mib": _resident_mib() - before,
        "disk_mib": sum(map(installed_mib, packages)),
        "load_sec": load_sec,
    }
    for method, of in (("max", np.max), ("mean", np.mean)):
        quality = _quality(np.stack([of(one, axis=1) for one in likeness], axis=1), labels)
        row |= {f"{method}_{key}": value for key, value in quality.items()}
    return row


def _timed(embed: Embed, texts: list[str]) -> tuple[Vectors, list[float]]:
    # Processor time, which others on the machine change least.
    rows, times_ms = [], []
    for text in texts:
        start = time.process_time()
        rows.append(embed([text])[0])
        times_ms.append((time.process_time() - start) * 1000)
    return np.stack(rows), times_ms


def _quality(scores: Vectors, labels: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return how often requests go where they belong.

    nearest: of the requests that belong to a route, how many are nearest to it.
    routed: of all, how many are routed right where one threshold decides whether any route takes it; the threshold is
        the best on one half of the requests, and counted on the other (both ways).
    apart: how often a request of a route scores higher than one of none.
    """
    belongs, best, nearest = labels >= 0, scores.max(axis=1), scores.argmax(axis=1)

    def right(threshold: float, some: np.ndarray[Any, Any]) -> float:
        taken = best[some] >= threshold
        return float(np.where(belongs[some], taken & (nearest[some] == labels[some]), ~taken).mean())

    halves = np.random.default_rng(0).permutation(len(labels))[: len(labels) // 2 * 2].reshape(2, -1)
    thresholds = [max(np.unique(best), key=lambda one: right(float(one), half)) for half in halves]
    return {
        "nearest": float((nearest == labels)[belongs].mean()),
        "routed": (right(float(thresholds[0]), halves[1]) + right(float(thresholds[1]), halves[0])) / 2,
        "apart": float((best[belongs][:, None] > best[~belongs][None]).mean()),
        "threshold": float(np.mean(thresholds)),
        "own": float(np.median(scores[belongs, labels[belongs]])),
        "none": float(np.median(best[~belongs])),
    }


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
