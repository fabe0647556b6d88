"""The budget of one request: money and calls, held before a call is sent, booked when it has ended.

What is held is the most that the calls can cost, so that what is spent never exceeds the budget, whatever the order of
calls and whatever each of them uses up to that. Where a backend reports more than could be foreseen, the excess is
booked as well and nothing more is sent that would not fit beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tandem.router.config.providers import Pricing
    from tandem.router.fusion.answers import Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Money for one token, exactly."""

    prompt: Fraction = Fraction(0)
    completion: Fraction = Fraction(0)
    cached: Fraction = Fraction(0)

    @classmethod
    def of(cls, pricing: Pricing | None) -> Price:
        """Return the prices of a model. A price of 0 for cached input says nothing: upstream's default is 0."""
        if pricing is None:
            return cls()
        prompt = Fraction(str(pricing.prompt_per_1m)) / _MILLION
        cached = Fraction(str(pricing.cached_input_per_1m)) / _MILLION
        completion = Fraction(str(pricing.completion_per_1m)) / _MILLION
        return cls(prompt=prompt, completion=completion, cached=cached or prompt)

    def most(self, prompt_tokens: int, completion_tokens: int) -> Fraction:
        """Return the most that a call of this size costs."""
        return max(self.prompt, self.cached) * prompt_tokens + self.completion * completion_tokens

    def of_usage(self, usage: Usage) -> Fraction:
        """Return what a call has cost."""
        prompt, completion = usage.prompt or 0, usage.completion or 0
        cached = min(usage.cached, prompt)
        return self.prompt * (prompt - cached) + self.cached * cached + self.completion * completion


class OverBudget(Exception):
    """What was asked for is not left in the budget."""


@dataclass(slots=True, eq=False)
class Hold:
    """What is set aside for one call."""

    cost: Fraction
    state: Literal["held", "sent", "over"] = "held"


class Ledger:
    """What is spent and held of a budget. None is no limit."""

    def __init__(self, *, max_cost: float | None = None, max_calls: int | None = None) -> None:
        self._max_cost = None if max_cost is None else Fraction(str(max_cost))
        self._max_calls = max_calls
        self.spent = Fraction(0)
        self.calls = 0
        self._holds: list[Hold] = []

    @property
    def has_price(self) -> bool:
        """Tell whether money is limited."""
        return self._max_cost is not None

    @property
    def held(self) -> Fraction:
        """Return what is set aside, for calls under way and for those to come."""
        return sum((hold.cost for hold in self._holds), Fraction(0))

    @property
    def money_left(self) -> Fraction | None:
        """Return what is neither spent nor held; below 0 where a backend reported more than could be foreseen."""
        return None if self._max_cost is None else self._max_cost - self.spent - self.held

    @property
    def calls_left(self) -> int | None:
        """Return how many calls are neither made nor held."""
        if self._max_calls is None:
            return None
        return self._max_calls - self.calls - sum(hold.state == "held" for hold in self._holds)

    def hold(self, cost: Fraction = Fraction(0)) -> Hold:
        """Set aside one call of this cost. Raises OverBudget."""
        left, calls = self.money_left, self.calls_left
        if calls is not None and calls < 1:
            raise OverBudget(f"max_upstream_calls {self._max_calls} leaves no call")
        if left is not None and cost > left:
            raise OverBudget(f"max_cost leaves {max(float(left), 0):.6g}, and it may cost {float(cost):.6g}")
        hold = Hold(cost)
        self._holds.append(hold)
        return hold

    def send(self, hold: Hold) -> None:
        """Note that the call is sent now. Raises OverBudget and lets go of the hold where it does not fit any more."""
        _expect(hold, "held")
        left = self.money_left
        if left is not None and left < 0 and hold.cost > 0:
            self.release(hold)
            raise OverBudget("earlier calls cost more than could be foreseen, and max_cost leaves nothing for it")
        hold.state = "sent"
        self.calls += 1

    def settle(self, hold: Hold, cost: Fraction | None) -> Fraction:
        """Book what a call has cost; None is not known, and the most is booked. Return what was booked."""
        _expect(hold, "sent")
        self._drop(hold)
        booked = hold.cost if cost is None else cost
        self.spent += booked
        return booked

    def take_back(self, hold: Hold) -> None:
        """Note that a call was not sent after all."""
        _expect(hold, "sent")
        self._drop(hold)
        self.calls -= 1

    def release(self, hold: Hold) -> None:
        """Let go of what was held for a call that is not sent; does nothing for one that was."""
        if hold.state == "held":
            self._drop(hold)

    def _drop(self, hold: Hold) -> None:
        hold.state = "over"
        self._holds.remove(hold)


def _expect(hold: Hold, state: str) -> None:
    if hold.state != state:
        raise ValueError(f"a hold that is {hold.state} where {state} was expected")
