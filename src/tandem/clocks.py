"""How far the clocks of nodes are apart, told from questions that take a while themselves.

A node says its time somewhere between our question and its answer. Half of that while bounds the error, as in NTP, and
the quickest of several questions is the one to believe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SECONDS = re.compile(r"\d+\.\d{1,9}")


@dataclass(frozen=True)
class Sample:
    """One question: when it was asked and answered by our clock, and what the node's clock said."""

    asked_sec: float
    said_sec: float
    heard_sec: float

    @property
    def uncertainty_sec(self) -> float:
        """How wrong the estimate can be."""
        return (self.heard_sec - self.asked_sec) / 2

    @property
    def offset_sec(self) -> float:
        """How far the node's clock is ahead of ours."""
        return self.said_sec - (self.asked_sec + self.heard_sec) / 2


def parse_seconds(text: str) -> float:
    """Read what ``date +%s.%N`` printed."""
    words = text.split()
    if len(words) != 1 or not _SECONDS.fullmatch(words[0]):
        raise TandemError(f"`date +%s.%N` should print seconds with a fraction, but printed {text.strip()[:200]!r}")
    return float(words[0])


def best(samples: Sequence[Sample]) -> Sample:
    """Return the sample with the smallest error."""
    return min(samples, key=lambda sample: sample.uncertainty_sec)


def skew_problems(clocks: Mapping[str, Mapping[str, float]], max_skew_ms: float) -> list[str]:
    """Name each pair of nodes whose clocks are certainly further apart than allowed.

    ``clocks`` maps a node to its ``offset_ms`` and ``uncertainty_ms`` against the one clock of the control node.
    """
    problems = []
    for first, second, skew, error in _pairs(clocks):
        if abs(skew) - error > max_skew_ms:
            ahead, behind = (first, second) if skew > 0 else (second, first)
            problems.append(f"{ahead} is {_ms(abs(skew))} ahead of {behind} (measured to {_ms(error)})")
    return problems


def unmeasured_pairs(clocks: Mapping[str, Mapping[str, float]], max_skew_ms: float) -> list[str]:
    """Name each pair that was not measured well enough to tell whether it is within the allowed skew."""
    return [
        f"{first} and {second} ({_ms(abs(skew))} apart, measured to {_ms(error)})"
        for first, second, skew, error in _pairs(clocks)
        if abs(skew) - error <= max_skew_ms < abs(skew) + error
    ]


def _pairs(clocks: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str, float, float]]:
    for first, second in combinations(clocks, 2):
        one, other = clocks[first], clocks[second]
        skew = one["offset_ms"] - other["offset_ms"]
        yield first, second, skew, one["uncertainty_ms"] + other["uncertainty_ms"]


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def chrony_problem(text: str) -> str:
    """Say why ``chronyc -c tracking`` shows a clock that follows nobody; empty if it follows a source."""
    fields = text.strip().split(",")
    if len(fields) != 14:
        return f"chronyc says {text.strip()[:200]!r}" if text.strip() else "chronyc says nothing: does chronyd run?"
    return f"chronyd has no source (leap status: {fields[13]})" if fields[13] == "Not synchronised" else ""
