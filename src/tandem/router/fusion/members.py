"""The panel: who is asked, and what they said when it ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from tandem.router.calls import CallFailed
from tandem.router.fusion import tokens
from tandem.router.fusion.answers import unusable
from tandem.router.fusion.attempt import Attempt, Until
from tandem.router.fusion.ledger import Hold, OverBudget
from tandem.router.fusion.plan import Prompts, plan_all
from tandem.router.fusion.quorum import Panel
from tandem.router.fusion.record import CallRecord
from tandem.router.fusion.settings import JUDGE_PART, PANEL_PART

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tandem.router.fusion.answers import Reply
    from tandem.router.fusion.attempt import Setup
    from tandem.router.fusion.record import Cancellation, Outcome, RequestRecord
    from tandem.router.fusion.request import Asked
    from tandem.router.fusion.settings import Settings

    Tell = Callable[[str, dict[str, object]], Awaitable[None]]
    Result = tuple[int, Literal["usable", "repeated", "failed", "left_out"]]

#: What our own prompts for judge and synthesis have, and some more.
_PROMPT_TOKENS = 700


@dataclass(slots=True)
class Members:
    """Asks the members of one request. `held` is what is set aside for judge and synthesis."""

    settings: Settings
    asked: Asked
    setup: Setup
    record: RequestRecord
    tell: Tell
    replies: dict[int, Reply] = field(default_factory=dict, init=False)
    held: list[Hold] = field(default_factory=list, init=False)
    panel: Panel = field(init=False)
    _attempts: dict[int, Attempt] = field(default_factory=dict, init=False)
    _calls: dict[int, CallRecord] = field(default_factory=dict, init=False)
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _results: asyncio.Queue[Result] = field(default_factory=asyncio.Queue, init=False)
    _prompt_tokens: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        settings, fusion = self.settings, self.settings.fusion
        size = len(settings.panel)
        self.panel = Panel(
            size,
            settings.quorum,
            min(fusion.max_concurrent or size, size),
            grace_sec=settings.limits.panel_grace_seconds or 0.0,
            ends_at=self._until.at,
            fail_fast=fusion.on_error == "fail",
            agreement_counts=fusion.quorum_failure_policy == "fail",
        )
        for place, model in enumerate(settings.panel):
            self._calls[place] = CallRecord(stage="panel", model=model)
            self.record.calls.append(self._calls[place])

    @property
    def calls(self) -> list[CallRecord]:
        """Return the records of the members."""
        return list(self._calls.values())

    def said(self) -> list[tuple[str, Reply]]:
        """Return the answers that count, in the order of the panel."""
        return [(self.settings.panel[place], self.replies[place]) for place in sorted(self.replies)]

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Ask the members until the panel has ended; those who are not needed any more are cancelled, not awaited."""
        self._leave_out()
        await self._tell_start()
        loop = asyncio.get_running_loop()
        while True:
            await self._take_results()
            self.panel.look(loop.time())
            self._start(group)
            if self.panel.end:
                break
            try:
                async with asyncio.timeout_at(self.panel.wakes_at):
                    result = await self._results.get()
            except TimeoutError:
                continue
            await self._take(result)
        await self._dismiss()

    def _leave_out(self) -> None:
        """Leave out whose engine is busy, then whom the budget does not reach."""
        for place, model in enumerate(self.settings.panel):
            if reason := self.settings.busy(self.setup.upstream.load(model)):
                self._not_asked(place, "busy", reason)
        waiting = [place for place, standing in enumerate(self.panel.standing) if standing == "waiting"]
        if len(waiting) < self.settings.quorum:
            return
        try:
            self._set_aside(waiting)
        except OverBudget as over:
            for place in waiting:
                if place not in self._attempts:
                    self._not_asked(place, "budget", str(over))

    def _set_aside(self, waiting: list[int]) -> None:
        """Set aside what judge and synthesis need, then what each member needs. Raises OverBudget for the rest."""
        settings, ledger = self.settings, self.setup.ledger
        models = [settings.panel[place] for place in waiting]
        stages: tuple[tuple[int | None, Fraction], ...] = ((None, Fraction(0)),) * settings.stages
        members: tuple[tuple[int | None, Fraction], ...]
        members = tuple((settings.member_tokens(model), Fraction(0)) for model in models)
        if (money := ledger.money_left) is not None:
            self._prompt_tokens = tokens.of_request(self.asked.body)
            again = tokens.of_text(self.asked.original) + _PROMPT_TOKENS
            for template in (settings.fusion.analysis_template, settings.fusion.synthesis_template):
                again += tokens.of_text(template or "")
            judge = settings.fusion.model
            wanted = [settings.fusion.max_completion_tokens] * (settings.stages - 1) + [settings.answer_tokens()]
            plan = plan_all(
                money,
                Prompts(self._prompt_tokens, again),
                [settings.share(model, settings.member_tokens(model), self._prompt_tokens) for model in models],
                [settings.share(judge, limit, self._prompt_tokens + again) for limit in wanted],
                quorum=settings.quorum,
            )
            if plan is None:
                raise OverBudget(f"max_cost {settings.limits.max_cost:g} does not pay for the panel and an answer")
            stages, members = plan.stages, plan.members
        for _, cost in stages:
            self.held.append(ledger.hold(cost))
        for place, (limit, cost) in zip(waiting, members, strict=False):
            self._admit(place, limit, ledger.hold(cost))
        if len(members) < len(waiting):
            raise OverBudget(f"max_cost {settings.limits.max_cost:g} does not pay for this member too")

    def _admit(self, place: int, max_tokens: int | None, hold: Hold) -> None:
        record = self._calls[place]
        record.max_tokens, record.outcome, record.error = max_tokens, None, None
        self._attempts[place] = Attempt(self.setup, record, hold, self.settings.price(record.model))

    def _start(self, group: asyncio.TaskGroup) -> None:
        """Ask whose turn it is, unless the engine has become busy meanwhile."""
        while (place := self.panel.next()) is not None:
            if reason := self.settings.busy(self.setup.upstream.load(self.settings.panel[place])):
                self.setup.ledger.release(self._attempts[place].hold)
                self._not_asked(place, "busy", reason)
                self.panel.look(asyncio.get_running_loop().time())
                continue
            self.panel.asked(place)
            self._tasks[place] = group.create_task(self._ask(place), name=f"panel {self.settings.panel[place]}")

    async def _ask(self, place: int) -> None:
        attempt, model = self._attempts[place], self.settings.panel[place]
        body = self.asked.panel_body(
            temperature=self.settings.member_temperature(model), max_tokens=attempt.record.max_tokens
        )
        try:
            reply = await attempt.plain(body, Until())
        except CallFailed:
            left_out = attempt.record.outcome in ("busy", "budget")
            self._results.put_nowait((place, "left_out" if left_out else "failed"))
            return
        if attempt.record.outcome is not None:
            return  # it was cancelled just before the answer came
        why = unusable(reply, self.replies.values())
        if why is None:
            self.replies[place] = reply
        attempt.end(why or "answered", usage=reply.usage, error=_UNUSABLE.get(why or ""))
        self._results.put_nowait((place, "usable" if why is None else "repeated" if why == "repeated" else "failed"))

    async def _take_results(self) -> None:
        while not self._results.empty():
            await self._take(self._results.get_nowait())

    async def _take(self, result: Result) -> None:
        place, standing = result
        if standing in ("failed", "left_out") and not self.panel.end:
            self._second_chance()
        self.panel.finished(place, standing, asyncio.get_running_loop().time())
        await self._tell_member(place)

    def _second_chance(self) -> None:
        """Let in who was left out for want of money, if what has become free is enough."""
        for place, record in self._calls.items():
            if record.outcome != "budget" or place in self._attempts or self.panel.standing[place] != "left_out":
                continue
            share = self.settings.share(record.model, self.settings.member_tokens(record.model), self._prompt_tokens)
            cost = share.price.most(self._prompt_tokens, share.least) if self.setup.ledger.has_price else Fraction(0)
            try:
                hold = self.setup.ledger.hold(cost)
            except OverBudget:
                continue
            limit = share.least if self.setup.ledger.has_price else self.settings.member_tokens(record.model)
            self._admit(place, limit, hold)
            self.panel.readmit(place)
            return

    async def _dismiss(self) -> None:
        """Cancel who is still at it, and note who was not needed."""
        by = self._cancellation()
        for place in self.panel.cancelled():
            self._attempts[place].end("cancelled", by=by, error=_TOO_LATE.get(by))
            self._tasks[place].cancel()
            await self._tell_member(place)
        for place, standing in enumerate(self.panel.standing):
            if standing == "waiting":
                if place in self._attempts:
                    self.setup.ledger.release(self._attempts[place].hold)
                self._calls[place].outcome = "not_needed"
                self.setup.ended(self._calls[place])
        self.record.usable = len(self.replies)

    def _cancellation(self) -> Cancellation:
        if self.panel.timed_out:
            return self._until.why
        if self.panel.end == "failed":
            return "member_failed"
        return "quorum_met" if self.panel.end == "enough" else "quorum_lost"

    def _not_asked(self, place: int, outcome: Outcome, reason: str) -> None:
        self.panel.left_out(place)
        record = self._calls[place]
        record.outcome, record.error = outcome, reason
        self.setup.ended(record)

    @property
    def _until(self) -> Until:
        settings = self.settings
        wall = settings.wall_at(PANEL_PART if settings.stages == 2 else JUDGE_PART)
        round_sec = settings.fusion.round_timeout_seconds
        round_at = None if round_sec is None else settings.began + round_sec
        if round_at is not None and (wall is None or round_at <= wall):
            return Until(round_at, "round_timeout")
        return Until(wall, "wall_budget")

    async def _tell_start(self) -> None:
        left_out = [
            {"model": call.model, "outcome": call.outcome, "error": call.error} for call in self.calls if call.outcome
        ]
        members = [call.model for call in self.calls if not call.outcome]
        await self.tell("panel.started", {"members": members, "quorum": self.settings.quorum, "left_out": left_out})

    async def _tell_member(self, place: int) -> None:
        await self.tell("panel.member", self._calls[place].document(public=True))


_TOO_LATE: dict[Cancellation, str] = {
    "round_timeout": "no answer within round_timeout_seconds",
    "wall_budget": "no answer within the panel's part of max_wall_seconds",
}
_UNUSABLE = {
    "empty": "the answer is empty",
    "looping": "the answer repeats itself without end",
    "repeated": "the answer is word for word that of another member",
}
