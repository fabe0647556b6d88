"""What the plots of a verdict show: points per direction, thresholds and ceilings. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tandem.fabric.outcome import BANDWIDTH_METRIC
from tandem.fabric.words import amount, message_size, shortened

Verdict = Mapping[str, Any]
Points = Sequence[tuple[float, float]]
"""Message sizes in bytes, and values."""

#: As many letters of a node's name as there is room for beside the plot.
_LONGEST_NAME = 13


@dataclass(frozen=True)
class Curve:
    """One metric of one direction (0: from the first node of the pair to the second; 1: back)."""

    name: str
    direction: int
    points: Points
    kind: Literal["main", "other", "baseline"]


@dataclass(frozen=True)
class Level:
    """A value to be drawn across the plot, with two lines of words beside it."""

    name: str
    value: float
    words: str
    kind: Literal["threshold", "ceiling"]
    size_bytes: int | None = None
    """The one size for which it holds; null if it holds for all."""


@dataclass(frozen=True)
class Plot:
    """A plot against message size."""

    title: str
    unit: str
    curves: Sequence[Curve]
    levels: Sequence[Level]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured; a baseline alone makes no plot."""
        return all(curve.kind == "baseline" for curve in self.curves)

    @property
    def sizes(self) -> list[float]:
        """Return all sizes, from small to large."""
        return sorted({size for curve in self.curves for size, _ in curve.points})

    @property
    def values(self) -> list[float]:
        """Return all values that must be seen."""
        return [value for curve in self.curves for _, value in curve.points] + [level.value for level in self.levels]


def latency(verdict: Verdict) -> Plot:
    """Return the plot of latency."""
    metrics = {"typical": "latency_typical_usec", "p99": "latency_p99_usec"}
    levels = [
        Level(f"threshold-{name}-{number}", value, f"{name} at most\n{amount(value)} usec", "threshold")
        for name in metrics
        for number, value in enumerate(_of_checks(verdict, f"latency_{name}", "threshold"))
    ]
    return Plot("Latency", "usec", list(_curves(verdict, metrics)), levels)


def bandwidth(verdict: Verdict) -> Plot:
    """Return the plot of bandwidth."""
    metrics = {"average": BANDWIDTH_METRIC, "peak": "bandwidth_peak_gbit_per_s"}
    levels = [*_ceilings(verdict), *_least_bandwidths(verdict)]
    return Plot("Bandwidth", "Gb/s", list(_curves(verdict, metrics)), levels)


def is_compared(verdict: Verdict) -> bool:
    """Return whether there is a baseline that is not this run itself."""
    baseline = verdict["baseline"]
    return bool(baseline) and baseline["measured_at"] != verdict["measured_at"]


def ways(verdict: Verdict) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return client and server of both directions."""
    first, second = verdict["nodes"]
    return (first, second), (second, first)


def _curves(verdict: Verdict, metrics: Mapping[str, str]) -> Iterator[Curve]:
    """Return the curves that have points; of the first metric there is a baseline."""
    main = next(iter(metrics))
    for direction, way in enumerate(ways(verdict)):
        if is_compared(verdict):
            before = [entry for entry in verdict["baseline"]["metrics"] if entry["metric"] == metrics[main]]
            if points := _points(before, way, "value"):
                yield Curve("baseline", direction, points, "baseline")
        for name, metric in metrics.items():
            if points := _points(verdict["series"], way, metric):
                yield Curve(name, direction, points, "main" if name == main else "other")


def _points(entries: Iterable[Mapping[str, Any]], way: tuple[str, str], key: str) -> Points:
    """Return the points of a direction. Logarithms have no zero; the page's tables do."""
    return sorted(
        (float(entry["message_size_bytes"]), float(entry[key]))
        for entry in entries
        if (entry["client"], entry["server"]) == way and entry["message_size_bytes"] > 0 and (entry[key] or 0) > 0
    )


def _least_bandwidths(verdict: Verdict) -> Iterator[Level]:
    for number, value in enumerate(_of_checks(verdict, "bandwidth", "threshold")):
        size = max(
            check["message_size_bytes"]
            for check in verdict["checks"]
            if check["name"] == "bandwidth" and check["threshold"] == value
        )
        words = f"at least {value:.1f} Gb/s\nwith {message_size(size)}"
        yield Level(f"threshold-{number}", value, words, "threshold", size)


def _ceilings(verdict: Verdict) -> Iterator[Level]:
    """Return what each node, and the pair, can reach: the lesser of link and PCIe, and which of them it is."""
    of_nodes = {ceiling["gbit_per_s"] for ceiling in verdict["ceilings"].values()} - {None}
    for number, value in enumerate(sorted(of_nodes | set(_of_checks(verdict, "bandwidth", "ceiling")))):
        yield Level(f"ceiling-{number}", value, f"ceiling {value:.1f} Gb/s\n{_limiter(verdict, value)}", "ceiling")


def _limiter(verdict: Verdict, value: float) -> str:
    ceilings = verdict["ceilings"]
    if any(ceiling["link_gbit_per_s"] == value for ceiling in ceilings.values()):
        return "link"
    nodes = [node for node, ceiling in ceilings.items() if ceiling["pcie_gbit_per_s"] == value]
    if len(nodes) > 1:
        return "PCIe of both nodes"
    return f"PCIe of {shortened(nodes[0], _LONGEST_NAME)}" if nodes else "of the pair"


def _of_checks(verdict: Verdict, name: str, key: str) -> list[float]:
    """Return the different values of a kind of check; a threshold of 0 is none."""
    return sorted({float(check[key]) for check in verdict["checks"] if check["name"] == name and check[key]})
