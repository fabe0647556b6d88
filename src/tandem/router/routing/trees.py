"""Trees of conditions. A signal holds, does not hold, or (None) has not been evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tandem.router.config.routing import Condition

#: A signal: type and name of a condition.
Signal = tuple[str, str]
#: Tells whether a tree holds, by the values of all signals at their places.
Test = Callable[[Sequence[bool | None]], bool | None]


def signals_of(condition: Condition) -> set[Signal]:
    """Return the signals in a tree."""
    own = {(str(condition.type), str(condition.name))} if condition.is_leaf else set()
    return own.union(*(signals_of(child) for child in condition.conditions))


def compile_tree(condition: Condition, places: Mapping[Signal, int]) -> Test:
    """Return the test of a tree: True or False wherever the signals that are known suffice."""
    if condition.is_leaf:
        place = places[(str(condition.type), str(condition.name))]
        return lambda values: values[place]
    children = tuple(compile_tree(child, places) for child in condition.conditions)
    if condition.operator == "NOT":
        return _negation(children[0])
    if condition.operator == "OR":
        return _junction(children, decisive=True)
    return _junction(children, decisive=False)


def _negation(child: Test) -> Test:
    def test(values: Sequence[bool | None]) -> bool | None:
        value = child(values)
        return None if value is None else not value

    return test


def _junction(children: tuple[Test, ...], *, decisive: bool) -> Test:
    def test(values: Sequence[bool | None]) -> bool | None:
        result: bool | None = not decisive
        for child in children:
            value = child(values)
            if value is decisive:
                return decisive
            if value is None:
                result = None
        return result

    return children[0] if len(children) == 1 else test


def confidence(condition: Condition, matches: Mapping[Signal, float]) -> float | None:
    """Return how sure a decision is, or None where its tree does not hold: what orders equal priorities, as upstream.

    A signal is as sure as its value in `matches`, AND the mean of its parts, OR the best of them, NOT is sure, and
    what always holds is not.
    """
    if condition.is_leaf:
        return matches.get((str(condition.type), str(condition.name)))
    parts = [confidence(child, matches) for child in condition.conditions]
    if condition.operator == "NOT":
        return 1.0 if parts[0] is None else None
    held = [part for part in parts if part is not None]
    if condition.operator == "OR":
        return max(held, default=None)
    if len(held) < len(parts):
        return None
    return sum(held) / len(held) if held else 0.0
