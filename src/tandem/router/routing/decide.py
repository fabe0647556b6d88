"""Which decision takes a request. Signals that cost time are only asked for where the outcome depends on them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from tandem.router.routing.trees import Signal, Test, compile_tree, confidence, signals_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tandem.router.config.routing import Decision


@dataclass(frozen=True, slots=True)
class _Rule:
    decision: Decision
    test: Test


@dataclass(frozen=True, slots=True)
class Undecided:
    """The outcome depends on signals that have not been evaluated."""


UNDECIDED = Undecided()


class Decisions:
    """Decisions in the order in which they are tried, compiled."""

    def __init__(self, decisions: Iterable[Decision]) -> None:
        ordered = sorted(decisions, key=lambda decision: (-decision.priority, decision.name))
        self.signals: tuple[Signal, ...] = tuple(
            sorted(set().union(*(signals_of(decision.rules) for decision in ordered)))
        )
        self.families = frozenset(kind for kind, _ in self.signals)
        places = {signal: place for place, signal in enumerate(self.signals)}
        self._groups = tuple(
            tuple(_Rule(decision, compile_tree(decision.rules, places)) for decision in group)
            for _, group in groupby(ordered, key=lambda decision: decision.priority)
        )
        #: What is clear without any signal.
        self.certain = self.choose({}, ())

    def choose(self, matches: Mapping[Signal, float], evaluated: Iterable[str]) -> Decision | Undecided | None:
        """Return the decision, None if none holds, or UNDECIDED.

        Args:
            matches: The signals that hold, each with how sure it is.
            evaluated: Families of which everything that holds is in `matches`.
        """
        known = frozenset(evaluated)
        values = [True if signal in matches else False if signal[0] in known else None for signal in self.signals]
        for group in self._groups:
            held: list[Decision] = []
            for rule in group:
                value = rule.test(values)
                if value is None:
                    return UNDECIDED
                if value:
                    held.append(rule.decision)
            if len(held) == 1:
                return held[0]
            if held:
                return self._surest(held, matches, known)
        return None

    def _surest(
        self, held: Sequence[Decision], matches: Mapping[Signal, float], known: frozenset[str]
    ) -> Decision | Undecided:
        if any(kind not in known for decision in held for kind, _ in signals_of(decision.rules)):
            return UNDECIDED
        # They are in the order of their names, and max takes the first of equals.
        return max(held, key=lambda decision: confidence(decision.rules, matches) or 0.0)
