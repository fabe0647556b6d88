"""Decisions that no request can get to."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

from tandem.router.config.values import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tandem.router.config.problems import Problems
    from tandem.router.config.routing import Condition, Decision

#: A signal: its type and its name.
Signal = tuple[str, str]
#: A truth table has 2^n bits: half a KiB for this many signals.
_MAX_SIGNALS = 12


def check_reachable(decisions: Sequence[Decision], problems: Problems) -> None:
    """Note each decision that never holds, or only where one of higher priority does.

    Virtual names of fusion see fusion decisions only, so nothing else keeps requests from those.
    """
    signals = [_signals(decision.rules) for decision in decisions]
    everything: set[Signal] = set().union(*signals)
    few = len(everything) <= _MAX_SIGNALS
    tables = {place: _table(decision.rules, everything) for place, decision in enumerate(decisions)} if few else {}
    for index, decision in enumerate(decisions):
        path = ("routing", "decisions", index)
        before = [place for place, other in enumerate(decisions) if _comes_before(other, decision)]
        if not few:
            # Of very many signals only the decision's own are tried: that finds less, and nothing that is wrong.
            scope = signals[index] if len(signals[index]) <= _MAX_SIGNALS else set()
            before = [place for place in before if signals[place] <= scope]
            tables = {place: _table(decisions[place].rules, scope) for place in before}
            own = _table(decision.rules, scope) if scope == signals[index] else 1
        else:
            own = tables[index]
        if not own:
            problems.add((*path, "rules"), "conditions that never hold together", "correct them")
        elif takers := _takers(own, [(decisions[place].name, tables[place]) for place in before]):
            found = f"a decision that is never reached: {', '.join(map(describe, takers))} takes all its requests"
            problems.add((*path, "priority"), found, "raise its priority, or remove it")


def _takers(own: int, before: Sequence[tuple[str, int]]) -> list[str]:
    """Return the names of those that leave nothing of a table: one if it suffices, else all that take a part."""
    left = own
    for name, table in before:
        if not own & ~table:
            return [name]
        left &= ~table
    return [] if left else [name for name, table in before if own & table]


def _comes_before(other: Decision, decision: Decision) -> bool:
    if decision.fusion and not other.fusion:
        return False
    # Of equal decisions upstream takes the one whose name comes first.
    equal = other.priority == decision.priority and other.rules == decision.rules and other.name < decision.name
    return other.priority > decision.priority or equal


def _table(condition: Condition, scope: Iterable[Signal]) -> int:
    """Return the truth table of a condition: bit i tells whether it holds for the i-th combination of signals."""
    ordered = sorted(scope)
    full = (1 << (1 << len(ordered))) - 1
    columns = {signal: full // ((1 << (1 << place)) + 1) << (1 << place) for place, signal in enumerate(ordered)}

    def table(part: Condition) -> int:
        if part.is_leaf:
            return columns[(str(part.type), str(part.name))]
        if part.operator == "NOT":
            return full & ~table(part.conditions[0])
        tables = [table(child) for child in part.conditions]
        return reduce(or_, tables, 0) if part.operator == "OR" else reduce(and_, tables, full)

    return table(condition)


def _signals(condition: Condition) -> set[Signal]:
    own = {(str(condition.type), str(condition.name))} if condition.is_leaf else set()
    return own.union(*(_signals(child) for child in condition.conditions))
