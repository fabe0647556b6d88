"""One call: paid for before it is sent, timed, and recorded however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from tandem.router.calls import Call, CallFailed
from tandem.router.fusion import sse
from tandem.router.fusion.answers import Reply, Usage, read_reply
from tandem.router.fusion.documents import decode, mapping
from tandem.router.fusion.ledger import OverBudget
from tandem.router.fusion.recursion import OUTGOING
from tandem.router.upstream.retry import retry_after_sec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tandem.router.calls import Answer, StreamedAnswer, Upstream
    from tandem.router.fusion.completion import Assembly
    from tandem.router.fusion.ledger import Hold, Ledger, Price
    from tandem.router.fusion.record import CallRecord, Cancellation, Outcome

    Send = Callable[[list[dict[str, object]]], Awaitable[None]]

#: What a backend says about an error is told in this length, and about its keys not at all.
_MAX_ERROR_CHARS, _MAX_ERROR_BYTES = 300, 65536
#: Of a stream: how long it may go on where nothing limits it but the client's patience.
_LONGEST_SEC = 86_400.0
_SECRET_STATUS = (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the calls of a request have in common."""

    upstream: Upstream
    ledger: Ledger
    call_timeout_sec: float
    max_response_bytes: int
    began: float
    ended: Callable[[CallRecord], None]


@dataclass(frozen=True, slots=True)
class Until:
    """When a call must have ended, whatever its own timeout, and why."""

    at: float | None = None
    why: Cancellation = "wall_budget"


@dataclass(slots=True, eq=False)
class Attempt:
    """A call to be made or under way. It ends once; whatever comes later changes nothing."""

    setup: Setup
    record: CallRecord
    hold: Hold
    price: Price | None
    _began: float | None = field(default=None, init=False)

    def end(
        self,
        outcome: Outcome,
        *,
        usage: Usage | None = None,
        error: str | None = None,
        by: Cancellation | None = None,
    ) -> None:
        """Book and record how it ended."""
        record = self.record
        if record.outcome is not None:
            return
        record.outcome, record.error, record.cancelled_by = outcome, error, by
        if self._began is not None:
            record.latency_sec = asyncio.get_running_loop().time() - self._began
        usage = usage or Usage()
        record.prompt_tokens, record.completion_tokens = usage.prompt, usage.completion
        self._pay(outcome, usage)
        self.setup.ended(record)

    def _pay(self, outcome: Outcome, usage: Usage) -> None:
        ledger, record = self.setup.ledger, self.record
        if self.hold.state == "held":
            ledger.release(self.hold)
            return
        if self.hold.state == "over":
            return
        if outcome == "busy":
            ledger.take_back(self.hold)
            record.started_sec = None
            return
        price = self.price
        cost: Fraction | None = None
        if outcome in ("connect", "status"):
            cost = Fraction(0)
        elif price and usage.known:
            cost = price.of_usage(usage)
        booked = ledger.settle(self.hold, cost)
        if price and (cost is not None or ledger.has_price):
            record.cost, record.cost_is = float(booked), "at_most" if cost is None else "measured"

    async def plain(self, body: Mapping[str, object], until: Until) -> Reply:
        """Return the answer, which is recorded as answered only by `end`. Raises CallFailed after recording it."""
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._time_left(until)) as limit:
                answer = await self.setup.upstream.call(self._send(body, until, limit.when()))
        except TimeoutError:
            raise self._late(until) from None
        except CallFailed as failed:
            raise self._failed(failed, until) from None
        except asyncio.CancelledError:
            self.end("cancelled", by="client")
            raise
        self.record.backend = answer.backend
        self.record.status = answer.status if answer.status != 200 else None
        if answer.status != 200:
            raise self._failed(status_failure(answer.status, answer.headers, answer.body), until)
        if len(answer.body) > self.setup.max_response_bytes:
            raise self._failed(CallFailed("too_large", f"the answer has {len(answer.body)} bytes"), until)
        reply = read_reply(answer.body)
        if reply is None:
            raise self._failed(CallFailed("garbage", "the answer is no chat.completion"), until)
        self.record.finish_reason = reply.finish_reason
        return reply

    async def stream(self, body: Mapping[str, object], until: Until, assembly: Assembly, send: Send) -> None:
        """Send the chunks on as they come; the assembly becomes the answer. Raises CallFailed after recording it.

        The timeout is for the head and for each chunk after another; time that a slow client takes does not count.
        """
        try:
            async with asyncio.timeout(self._time_left(until)) as limit:
                async with self.setup.upstream.stream(self._send(body, until, until.at)) as answer:
                    self.record.backend = answer.backend
                    await self._check_head(answer)
                    async for data in sse.events(answer.chunks(), self.setup.max_response_bytes):
                        if data.strip() == b"[DONE]":
                            break
                        if (document := decode(data)) is None:
                            raise CallFailed("garbage", "a chunk is no JSON object")  # noqa: TRY301
                        if pieces := assembly.add(document):
                            self._note_first()
                            limit.reschedule(None)
                            await send(pieces)
                        limit.reschedule(self._limit_at(until))
                if assembly.finish_reason is None:
                    raise CallFailed("closed", "the stream ended before the answer did")  # noqa: TRY301
        except TimeoutError:
            raise self._late(until, assembly.usage) from None
        except CallFailed as failed:
            raise self._failed(failed, until, assembly.usage) from None
        except asyncio.CancelledError:
            self.end("cancelled", by="client", usage=assembly.usage)
            raise
        self.record.finish_reason = assembly.finish_reason

    def _send(self, body: Mapping[str, object], until: Until, ends_at: float | None) -> Call:
        """Return the call, which counts as sent from now on. The upstream's timeout is for the whole of an answer."""
        loop = asyncio.get_running_loop()
        try:
            if until.at is not None and loop.time() >= until.at:
                raise OverBudget("max_wall_seconds leaves no time")  # noqa: TRY301
            self.setup.ledger.send(self.hold)
        except OverBudget as over:
            self.end("budget", error=str(over))
            raise CallFailed("busy", str(over)) from None
        self._began = loop.time()
        self.record.started_sec = self._began - self.setup.began
        return Call(
            model=self.record.model,
            body=body,
            timeout_sec=_LONGEST_SEC if ends_at is None else max(ends_at - self._began, 0.001),
            headers=OUTGOING,
        )

    async def _check_head(self, answer: StreamedAnswer) -> None:
        if answer.status == 200:
            return
        self.record.status = answer.status
        body = b""
        async for chunk in answer.chunks():
            body += chunk
            if len(body) > _MAX_ERROR_BYTES:
                break
        raise status_failure(answer.status, answer.headers, body)

    def _note_first(self) -> None:
        if self.record.first_token_sec is None and self._began is not None:
            self.record.first_token_sec = asyncio.get_running_loop().time() - self._began

    def _limit_at(self, until: Until) -> float:
        at = asyncio.get_running_loop().time() + self.setup.call_timeout_sec
        return at if until.at is None else min(at, until.at)

    def _time_left(self, until: Until) -> float:
        return max(self._limit_at(until) - asyncio.get_running_loop().time(), 0)

    def _late(self, until: Until, usage: Usage | None = None) -> CallFailed:
        if until.at is not None and asyncio.get_running_loop().time() >= until.at:
            self.end("cancelled", by=until.why, usage=usage)
            return CallFailed("timeout", f"cancelled: {until.why}")
        message = f"no answer within {self.setup.call_timeout_sec:g} s"
        self.end("timeout", error=message, usage=usage)
        return CallFailed("timeout", message)

    def _failed(self, failed: CallFailed, until: Until, usage: Usage | None = None) -> CallFailed:
        if failed.failure == "timeout":
            return self._late(until, usage)
        self.record.retry_after_sec = failed.retry_after_sec
        self.end(failed.failure, error=str(failed)[: _MAX_ERROR_CHARS + 40], usage=usage)
        return failed


def status_failure(status: int, headers: Mapping[str, str], body: bytes) -> CallFailed:
    """Return the failure for an answer that is an error."""
    document = decode(body) or {}
    error = document.get("error", document)
    said = mapping(error).get("message") if isinstance(error, dict) else error
    message = f"status {status}"
    if isinstance(said, str) and said and status not in _SECRET_STATUS:
        message += f": {' '.join(said.split())[:_MAX_ERROR_CHARS]}"
    lower = {name.lower(): value for name, value in headers.items()}
    return CallFailed("status", message, retry_after_sec=retry_after_sec(lower.get("retry-after")))
