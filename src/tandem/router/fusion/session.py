"""One request: panel, analysis, synthesis; the fallback; and what is done where one of them fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tandem.router.calls import CallFailed, Finished, Piece, Progress, Refused
from tandem.router.fusion import analysis, prompts, tokens
from tandem.router.fusion.answers import best, loops, spoken
from tandem.router.fusion.attempt import Attempt, Until
from tandem.router.fusion.completion import Assembly, choice_of, choice_of_text, fusion_object
from tandem.router.fusion.ledger import OverBudget
from tandem.router.fusion.members import Members
from tandem.router.fusion.observer import QuorumFailure
from tandem.router.fusion.plan import plan_stages
from tandem.router.fusion.policy import refusal
from tandem.router.fusion.record import CallRecord
from tandem.router.fusion.settings import JUDGE_PART

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.router.fusion.answers import Reply
    from tandem.router.fusion.attempt import Setup
    from tandem.router.fusion.completion import Head
    from tandem.router.fusion.events import Events
    from tandem.router.fusion.observer import Observer
    from tandem.router.fusion.plan import Share
    from tandem.router.fusion.record import RequestRecord, Stage
    from tandem.router.fusion.request import Asked
    from tandem.router.fusion.settings import Settings

DEGRADED_HEADER = "x-tandem-fusion-degraded"


@dataclass(slots=True)
class Session:
    """Does one request from its panel to the last event."""

    settings: Settings
    asked: Asked
    setup: Setup
    record: RequestRecord
    head: Head
    observer: Observer
    events: Events
    stream: bool
    _analysis: analysis.Analysis | None = field(default=None, init=False)
    _said: list[tuple[str, Reply]] = field(default_factory=list, init=False)

    async def run(self) -> None:
        """Send every event, last a Finished. Raises Refused."""
        refused: Refused | None = None
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    choice = await self._answer(group)
                except Refused as error:
                    # Out of the group as it is, not as a group of errors.
                    refused = error
                else:
                    await self._finish(choice)
        except asyncio.CancelledError:
            if self.record.outcome is None:
                self.record.outcome = "cancelled"
            raise
        finally:
            self._close(refused)
        if refused:
            refused.record = self.record.document()
            raise refused

    def _close(self, refused: Refused | None) -> None:
        """Bring the record to its end, whatever came of the request."""
        if self.record.outcome is None:
            self.record.outcome = "refused"
        for call in self.record.calls:
            if call.outcome is None:
                # Its task was cancelled before it began.
                call.outcome, call.cancelled_by = "cancelled", "client"
        if refused:
            self.record.error = f"{refused.status} {refused.code}: {refused}"
        self._time()
        self.observer.request_ended(self.record)

    async def _answer(self, group: asyncio.TaskGroup) -> Mapping[str, object]:
        """Return the choice that the client gets; of a streamed answer it has been sent."""
        members = Members(self.settings, self.asked, self.setup, self.record, self._tell)
        await members.run(group)
        self._lap("panel")
        for hold in members.held:
            # What comes next is planned anew, by what has really been used.
            self.setup.ledger.release(hold)
        self._said = members.said()
        await self._tell(
            "panel.done", {"end": members.panel.end, "usable": len(self._said), "quorum": self.settings.quorum}
        )
        if members.panel.end != "enough":
            return await self._below_quorum(members)
        if members.panel.agreed:
            note = "members answered word for word alike, and nothing else came up to the quorum"
            self.record.degrade("repeated_answers", note)
        for call in members.calls:
            if call.outcome == "budget":
                self.record.degrade("budget_panel", f"{call.model} was not asked: {call.error}")
        return await self._deliberate()

    async def _deliberate(self) -> Mapping[str, object]:
        """Analyse and synthesise, as far as time and money reach."""
        attempts = self._attempts()
        if len(attempts) == 2:
            self._analysis = await self._judge(attempts.pop(0))
            self.setup.ledger.release(attempts.pop().hold)
            attempts = self._attempts(analysed=True)
        if not attempts:
            return await self._degrade_to_best("synthesis_skipped", "the budget did not reach for a synthesis")
        prompt = prompts.answer_prompt(self.settings.fusion, self.asked.original, self._said, self._analysis)
        await self._tell("synthesis.started", {"model": attempts[0].record.model})
        try:
            return await self._final(attempts[0], prompt)
        except CallFailed as failed:
            return await self._degrade_to_best("synthesis_failed", f"the synthesis failed: {failed}")
        finally:
            self._lap("synthesis")

    def _attempts(self, *, analysed: bool = False) -> list[Attempt]:
        """Return the calls that come now and can be paid: analysis and synthesis, the latter alone, or none."""
        settings, fusion = self.settings, self.settings.fusion
        stages: list[tuple[Stage, int | None]] = [("synthesis", settings.answer_tokens())]
        if fusion.analysis_mode == "separate" and not analysed:
            stages.insert(0, ("judge", fusion.max_completion_tokens))
        while stages:
            prompt_tokens = self._stage_tokens() if self.setup.ledger.has_price else 0
            try:
                return self._pay_for(stages, prompt_tokens)
            except OverBudget as over:
                stage, _ = stages.pop(0)
                call = CallRecord(stage=stage, model=fusion.model, outcome="budget", error=str(over))
                self.record.calls.append(call)
                self.setup.ended(call)
                if stage == "judge":
                    self.record.degrade("analysis_skipped", f"the budget did not reach for an analysis: {over}")
        return []

    def _pay_for(self, stages: list[tuple[Stage, int | None]], prompt_tokens: int) -> list[Attempt]:
        """Return the calls with what is set aside for them. Raises OverBudget, with nothing set aside."""
        settings, ledger = self.settings, self.setup.ledger
        judge = settings.fusion.model
        planned: tuple[tuple[int | None, Fraction], ...] = tuple((limit, Fraction(0)) for _, limit in stages)
        if (money := ledger.money_left) is not None:
            planned = self._planned(
                money, prompt_tokens, [settings.share(judge, limit, prompt_tokens) for _, limit in stages]
            )
        attempts: list[Attempt] = []
        try:
            for (stage, _), (limit, cost) in zip(stages, planned, strict=True):
                record = CallRecord(stage=stage, model=judge, max_tokens=limit)
                attempts.append(Attempt(self.setup, record, ledger.hold(cost), settings.price(judge)))
        except OverBudget:
            for attempt in attempts:
                ledger.release(attempt.hold)
            raise
        return attempts

    def _planned(self, money: Fraction, prompt_tokens: int, shares: list[Share]) -> tuple[tuple[int, Fraction], ...]:
        plan = plan_stages(money, prompt_tokens, shares)
        if plan is None:
            raise OverBudget(f"max_cost leaves {max(float(money), 0):.6g}")
        return plan.stages

    def _stage_tokens(self) -> int:
        """Return the tokens of the longest prompt that comes next, as far as it is known."""
        fusion, original = self.settings.fusion, self.asked.original
        texts = [prompts.answer_prompt(fusion, original, self._said, self._analysis)]
        if fusion.analysis_mode == "separate" and self._analysis is None:
            texts.append(prompts.analysis_prompt(fusion, original, self._said))
        return tokens.of_request(self.asked.body) + 16 + max(tokens.of_text(text) for text in texts)

    async def _judge(self, attempt: Attempt) -> analysis.Analysis | None:
        """Return the judge's analysis, or None where it failed: the synthesis goes on without."""
        fusion = self.settings.fusion
        self.record.calls.append(attempt.record)
        await self._tell("judge.started", {"model": fusion.model})
        body = self.asked.judge_body(
            prompts.analysis_prompt(fusion, self.asked.original, self._said),
            temperature=fusion.temperature,
            max_tokens=attempt.record.max_tokens,
        )
        found: analysis.Analysis | None = None
        try:
            reply = await attempt.plain(body, Until(self.settings.wall_at(JUDGE_PART)))
        except CallFailed as failed:
            self.record.degrade("analysis_failed", f"the analysis failed: {failed}")
        else:
            found = analysis.parse(reply.content)
            attempt.end("answered" if reply.content.strip() else "empty", usage=reply.usage)
            if found.parse_failed:
                self.record.degrade("analysis_unreadable", "the judge's analysis was no JSON object with its keys")
        self._lap("judge")
        parsed = found is not None and not found.parse_failed
        await self._tell("judge.done", {**attempt.record.document(public=True), "parsed": parsed})
        return found

    async def _final(self, attempt: Attempt, prompt: str | None) -> Mapping[str, object]:
        """Return the answer of who answers the client. Raises CallFailed while nothing has been sent, else Refused."""
        self.record.calls.append(attempt.record)
        body = self.asked.answer_body(
            prompt,
            temperature=self.settings.fusion.temperature,
            max_tokens=attempt.record.max_tokens,
            stream=self.stream,
        )
        until = Until(self.settings.wall_at())
        return await (self._streamed(attempt, body, until) if self.stream else self._plain(attempt, body, until))

    async def _plain(self, attempt: Attempt, body: Mapping[str, object], until: Until) -> Mapping[str, object]:
        reply = await attempt.plain(body, until)
        text = spoken(reply.content)
        if not text.strip() and not reply.tool_calls and not reply.refusal.strip():
            attempt.end("empty", usage=reply.usage)
            raise CallFailed("garbage", "its answer is empty")
        if not reply.tool_calls and loops(text, cut=reply.finish_reason == "length"):
            attempt.end("looping", usage=reply.usage)
            raise CallFailed("garbage", "its answer repeats itself without end")
        attempt.end("answered", usage=reply.usage)
        return choice_of(reply)

    async def _streamed(self, attempt: Attempt, body: Mapping[str, object], until: Until) -> Mapping[str, object]:
        assembly = Assembly(self.head)
        try:
            await attempt.stream(body, until, assembly, self._send)
        except CallFailed as failed:
            if not assembly.started:
                raise
            if assembly.finish_reason is not None:
                # The answer was whole and has been sent; what broke off is the count of its tokens behind it.
                return assembly.choice()
            if attempt.record.cancelled_by != "wall_budget":
                self.record.outcome = "broken"
                raise Refused(502, "fusion_broke_off", f"{attempt.record.model} broke off: {failed}") from None
            note = f"max_wall_seconds {self.settings.limits.max_wall_seconds:g} was over before the answer was"
            self.record.degrade("synthesis_cut", note)
            await self._send([assembly.end("length")])
            return assembly.choice()
        if not assembly.started:
            attempt.end("empty", usage=assembly.usage)
            raise CallFailed("garbage", "its answer is empty")
        looping = loops(assembly.content, cut=assembly.finish_reason == "length")
        if looping:
            self.record.degrade("synthesis_looping", "the answer repeats itself without end, and had been sent")
        attempt.end("looping" if looping else "answered", usage=assembly.usage)
        return assembly.choice()

    async def _degrade_to_best(self, reason: str, why: str) -> Mapping[str, object]:
        """Return the best answer of the panel instead of a synthesis, and say so."""
        place = best([reply for _, reply in self._said])
        if place is None:
            raise Refused(502, "fusion_failed", f"{why}, and no member of the panel said anything but thoughts")
        model, reply = self._said[place]
        self.record.degrade(reason, f"{why}; this is the answer of {model}")
        await self._tell("degraded", {"reason": reason, "model": model})
        choice = choice_of_text(reply.content, reply.finish_reason)
        self.head = replace(self.head, model=model)
        if self.stream:
            await self._send(self.head.chunks_of(choice))
        return choice

    async def _below_quorum(self, members: Members) -> Mapping[str, object]:
        """Return the answer of the fallback, or raise Refused."""
        panel, fusion = members.panel, self.settings.fusion
        error = refusal(
            members.calls, required=self.settings.quorum, usable=len(self._said), fail_fast=panel.end == "failed"
        )
        if panel.end == "failed" or fusion.quorum_failure_policy == "fail" or not fusion.quorum_fallback_target:
            self._quorum_failed(members, "quorum_failed")
            raise error
        target = fusion.quorum_fallback_target
        record = CallRecord(stage="fallback", model=target, max_tokens=self.settings.answer_tokens())
        try:
            attempt = self._fallback_attempt(record)
        except OverBudget as over:
            record.outcome, record.error = "budget", str(over)
            self.record.calls.append(record)
            self.setup.ended(record)
            self._quorum_failed(members, "budget_exhausted")
            raise Refused(400, "fusion_budget", f"{error}; {target} instead: {over}") from None
        self.record.degrade("fallback", f"{error}; this is the answer of {target}")
        self.head = replace(self.head, model=target)
        await self._tell("fallback.started", {"model": target, "reason": str(error)})
        try:
            choice = await self._final(attempt, None)
        except CallFailed as failed:
            self._quorum_failed(members, "fallback_failed")
            also = f"{error}; {target} instead: {failed}"
            raise Refused(error.status, error.code, also, retry_after_sec=error.retry_after_sec) from None
        except Refused:
            self._quorum_failed(members, "fallback_failed")
            raise
        self._quorum_failed(members, "fallback_served")
        self._lap("fallback")
        self.record.outcome = "fallback"
        self._said, self._analysis = [], None
        return choice

    def _fallback_attempt(self, record: CallRecord) -> Attempt:
        """Return the call of the fallback with what is set aside for it. Raises OverBudget."""
        settings, ledger = self.settings, self.setup.ledger
        cost = Fraction(0)
        if (money := ledger.money_left) is not None:
            prompt_tokens = tokens.of_request(self.asked.body)
            share = settings.share(record.model, settings.answer_tokens(), prompt_tokens)
            ((record.max_tokens, cost),) = self._planned(money, prompt_tokens, [share])
        return Attempt(self.setup, record, ledger.hold(cost), settings.price(record.model))

    def _quorum_failed(self, members: Members, disposition: str) -> None:
        fusion = self.settings.fusion
        failure = QuorumFailure(
            decision=self.record.decision,
            policy=fusion.quorum_failure_policy,
            disposition=disposition,
            target=fusion.quorum_fallback_target,
            required=self.settings.quorum,
            usable=len(members.replies),
            states=tuple(call.state for call in members.calls),
        )
        self.observer.quorum_failed(failure)

    async def _finish(self, choice: Mapping[str, object]) -> None:
        self.record.outcome = self.record.outcome or "answered"
        self._time()
        completion = self.head.completion(choice, self.record.usage())
        if found := fusion_object(self.settings.fusion, self.record, self._said, self._analysis):
            completion["fusion"] = found
        headers = {DEGRADED_HEADER: ",".join(self.record.degraded)} if self.record.degraded else {}
        await self.events.send(Finished(completion, self.record.document(), headers))

    async def _tell(self, name: str, data: Mapping[str, object]) -> None:
        await self.events.send(Progress(name, data))

    async def _send(self, pieces: list[dict[str, object]]) -> None:
        if self.record.first_token_sec is None:
            self.record.first_token_sec = asyncio.get_running_loop().time() - self.setup.began
        for piece in pieces:
            await self.events.send(Piece(piece))

    def _lap(self, stage: str) -> None:
        """Note how long a stage took: all the time since the one before."""
        passed = asyncio.get_running_loop().time() - self.setup.began
        self.record.stages_sec[stage] = passed - sum(self.record.stages_sec.values())

    def _time(self) -> None:
        self.record.wall_sec = asyncio.get_running_loop().time() - self.setup.began
