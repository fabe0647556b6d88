"""How long answers may be so that money is left for judge and synthesis: decided before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tandem.router.fusion.ledger import Price

#: A call with fewer tokens for its answer is not worth its prompt, unless fewer were asked for.
LEAST_TOKENS = 256
#: What an answer may have where nothing limits it but money. More than an engine can give would be an error there.
MOST_TOKENS = 4096
#: An answer that is told to another model: its tokenizer may need more, and our estimate is above what it needs.
RETOLD = 2


@dataclass(frozen=True, slots=True)
class Share:
    """One call to be paid for.

    Attributes:
        price: Of its model.
        wanted: How many tokens its answer may have at most.
    """

    price: Price
    wanted: int = MOST_TOKENS

    def capped(self, cap: int) -> int:
        """Return its tokens where none may have more than the cap."""
        return min(self.wanted, cap)

    @property
    def least(self) -> int:
        """Return the tokens below which it is not sent."""
        return min(self.wanted, LEAST_TOKENS)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Tokens of prompts: of the client's request, and of what the stages add (the request again, the template)."""

    request: int
    stage: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The members that are asked, the tokens of each answer, the most that each call costs."""

    members: tuple[tuple[int, Fraction], ...]
    stages: tuple[tuple[int, Fraction], ...]


def plan_all(
    money: Fraction, prompts: Prompts, members: Sequence[Share], stages: Sequence[Share], *, quorum: int
) -> Plan | None:
    """Return a plan for as many of the members as can be afforded, or None where the quorum cannot.

    All answers are shortened alike: none may have more tokens than a cap, the highest that can be paid. It is lowered
    to 256 before a member beyond the quorum is left out, the last one first.
    """
    for number in range(len(members), quorum - 1, -1):
        asked = members[:number]

        def costs(cap: int, asked: Sequence[Share] = asked) -> Plan:
            lengths = [share.capped(cap) for share in asked]
            panel = tuple(
                (length, share.price.most(prompts.request, length))
                for share, length in zip(asked, lengths, strict=True)
            )
            return Plan(panel, _stages(prompts.request + prompts.stage + RETOLD * sum(lengths), stages, cap))

        if found := _highest(money, costs):
            return found
    return None


def plan_stages(money: Fraction, prompt_tokens: int, stages: Sequence[Share]) -> Plan | None:
    """Return a plan for the stages whose prompt has this many tokens, or None where it cannot be paid."""
    return _highest(money, lambda cap: Plan((), _stages(prompt_tokens, stages, cap)))


def _stages(prompt_tokens: int, stages: Sequence[Share], cap: int) -> tuple[tuple[int, Fraction], ...]:
    """Return tokens and cost of one stage after another; each tells its answer to the next."""
    planned = []
    for share in stages:
        length = share.capped(cap)
        planned.append((length, share.price.most(prompt_tokens, length)))
        prompt_tokens += RETOLD * length
    return tuple(planned)


def _highest(money: Fraction, costs: Callable[[int], Plan]) -> Plan | None:
    """Return the plan with the highest cap that can be paid, of LEAST_TOKENS at least. Costs grow with the cap."""

    def fits(plan: Plan) -> bool:
        return sum((cost for _, cost in (*plan.members, *plan.stages)), Fraction(0)) <= money

    low, high = LEAST_TOKENS, 1 << 24
    if fits(whole := costs(high)):
        return whole
    if not fits(costs(low)):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(costs(middle)) else (low, middle)
    return costs(low)
