"""The comparison in lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.planner.compare import FIGURES, Pair


@dataclass(frozen=True)
class Row:
    """A family: its figures, or why there are none."""

    title: str
    pairs: tuple[Pair, ...] = ()
    failure: str = ""

    @property
    def fine(self) -> bool:
        """Say whether it was compared and nothing is off."""
        return bool(self.pairs) and all(pair.fine for pair in self.pairs)


def head() -> str:
    """Return the two lines above the rows."""
    groups = "".join(f" | {what:^28}" for what in FIGURES)
    return f"{'':<26}{groups}\n{'':<26}" + " | ".join(["", *[f"{'ours':>10}{'vLLM':>10}{'ratio':>8}"] * len(FIGURES)])


def line(row: Row) -> str:
    """Return a family's line."""
    if row.failure:
        return f"{row.title:<26} | {row.failure}"
    return f"{row.title:<26}" + "".join(
        f" | {pair.ours:>10.0f}{pair.theirs:>10.0f}{pair.ratio:>8.4f}" for pair in row.pairs
    )


def summary(rows: Sequence[Row], version: str) -> Iterator[str]:
    """Return the last lines: the worst ratio of each figure, and what was not compared."""
    compared = [row for row in rows if row.pairs]
    fine = sum(row.fine for row in rows)
    yield f"vLLM {version or '(no engine)'}: {len(compared)} of {len(rows)} engines compared, {fine} within limits"
    pairs = [pair for row in compared for pair in row.pairs]
    if pairs:
        worst = {pair.what: pair.ratio for pair in sorted(pairs, key=lambda pair: abs(pair.ratio - 1))}
        yield "worst ratio: " + ", ".join(f"{what} {ratio:.6f}" for what, ratio in worst.items())
