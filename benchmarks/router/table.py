"""What was measured, in lines of text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.router.measure import LOADS, Load, Phase
from benchmarks.router.processes import Usage

Results = Mapping[str, Mapping[Load, Sequence[Phase]]]


@dataclass(frozen=True)
class Goal:
    """One thing that was promised, and what came of it."""

    words: str
    met: bool

    def __str__(self) -> str:
        """Return the line."""
        return f"{'met   ' if self.met else 'MISSED'}  {self.words}"


def _median(phases: Sequence[Phase], what: str) -> float:
    found = [value for phase in phases if not math.isnan(value := float(getattr(phase, what)))]
    return statistics.median(found) if found else float("nan")


def lines(results: Results, memory: Mapping[str, Usage]) -> Iterator[str]:
    """Yield the tables: of each load the medians over the rounds."""
    yield "latency in ms (of streams: to the first byte); added: less that of the stub alone"
    widths = {"p50": 9, "p99": 9, "added p50": 11, "added p99": 11, "req/s": 9, "req/s/core": 12}
    yield f"{'load':<12}{'through':<13}" + "".join(f"{word:>{width}}" for word, width in widths.items())
    for load in LOADS:
        direct = results["direct"][load]
        for name, found in results.items():
            phases = found[load]
            p50, p99 = _median(phases, "p50_ms"), _median(phases, "p99_ms")
            text = f"{load!s:<12}{name:<13}{p50:>9.2f}{p99:>9.2f}"
            if name != "direct":
                text += f"{p50 - _median(direct, 'p50_ms'):>11.2f}{p99 - _median(direct, 'p99_ms'):>11.2f}"
            else:
                text += f"{'':>22}"
            text += f"{_median(phases, 'per_sec'):>9.0f}"
            text += f"{_median(phases, 'per_cpu_sec'):>12.0f}" if name != "direct" else ""
            failed = sum(phase.failed for phase in phases)
            yield text + (f"  {failed} FAILED" if failed else "")
    yield "memory after all that: " + ", ".join(
        f"{name} {used.rss_bytes / 2**20:.0f} MiB RSS, {used.pss_bytes / 2**20:.0f} MiB PSS"
        for name, used in memory.items()
    )


def goals(results: Results, memory: Mapping[str, Usage]) -> list[Goal]:
    """Return what the router was built for, as far as the others were measured."""
    ours, one = results["ours"], Load("short", 1)
    added_ms = _median(ours[one], "p50_ms") - _median(results["direct"][one], "p50_ms")
    found = [Goal(f"adds {added_ms:.2f} ms p50 at one connection (under 0.5)", added_ms < 0.5)]
    if "litellm" in results:
        for kind, least in (("short", 30), ("stream", 20)):
            ratio = _ratio(results, Load(kind, 32), "litellm")
            found.append(Goal(f"{kind}: {ratio:.0f} times litellm's per core at 32 (at least {least})", ratio >= least))
    if "vllm-router" in results:
        ratio = 1 / _ratio(results, Load("short", 32), "vllm-router")
        found.append(Goal(f"short: vllm-router carries {ratio:.1f} times ours per core at 32 (at most 4)", ratio <= 4))
    rss_mib = memory["ours"].rss_bytes / 2**20
    found.append(Goal(f"{rss_mib:.0f} MiB RSS (under 150)", rss_mib < 150))
    failed = sum(phase.failed for phases in ours.values() for phase in phases)
    found.append(Goal(f"{failed} of our answers failed (none)", failed == 0))
    return found


def _ratio(results: Results, load: Load, other: str) -> float:
    # One that gave no answer in time has no figure, and no goal is met by that.
    theirs = _median(results[other][load], "per_cpu_sec")
    return _median(results["ours"][load], "per_cpu_sec") / theirs if theirs else float("nan")
