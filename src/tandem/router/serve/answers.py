"""Answers on their way to the client: passed on byte for byte, or fused."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.router.calls import Call, CallFailed, Finished, Piece, Progress, Refused
from tandem.router.serve import messages
from tandem.router.serve.messages import encode, header_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.router.calls import Fuse, Route, StreamedAnswer, Upstream
    from tandem.router.serve.messages import Outcome, Reply, Request

_EVENTS = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),
]
_FAMILIES = {"keyword": "keywords", "embedding": "embeddings"}


@dataclass(slots=True)
class Job:
    """One request to the models. `begun` is of time.perf_counter, `deadline` of the event loop."""

    request: Request
    reply: Reply
    outcome: Outcome
    body: Mapping[str, object]
    identity: str
    begun: float
    deadline: float


class Answers:
    """Answers requests that have a route."""

    def __init__(self, upstream: Upstream, fuse: Fuse) -> None:
        self._upstream, self._fuse = upstream, fuse

    async def forward(self, route: Route, job: Job) -> None:
        """Pass on what the first model answers that can serve. Raises CallFailed, if nothing was sent."""
        request, reply, outcome, loop = job.request, job.reply, job.outcome, asyncio.get_running_loop()
        headers = messages.forwarded(request.headers)
        headers["x-request-id"] = job.identity
        outcome.decision = route.decision.name if route.decision else None
        outcome.algorithm = "static" if route.decision else None
        usable = [model for model in route.models if self._upstream.can_serve(model)] or list(route.models)
        for model in usable:
            outcome.model = model
            call = Call(
                model=model,
                body=job.body,
                timeout_sec=job.deadline - loop.time(),
                path=request.path,
                headers=headers,
            )
            try:
                async with self._upstream.stream(call) as answer:
                    outcome.backend, outcome.first_byte_sec = answer.backend, time.perf_counter() - job.begun
                    await _pass_on(answer, _chosen(route, job), reply, outcome)
                    return
            except CallFailed as failure:
                if reply.started:
                    outcome.failure = failure.failure
                    await _break_off(answer, failure, reply)
                    return
                if model == usable[-1] or failure.failure not in ("busy", "connect", "closed", "garbage"):
                    raise

    async def fuse(self, route: Route, job: Job) -> None:
        """Send what fusion makes of the route. Raises Refused and CallFailed, if nothing was sent."""
        body, reply, outcome = job.body, job.reply, job.outcome
        fusion = route.decision.fusion if route.decision else None
        outcome.decision = route.decision.name if route.decision else None
        outcome.algorithm, outcome.model = "fusion", fusion.model if fusion else None
        stream, headers = body.get("stream") is True, _chosen(route, job)
        events = self._fuse.run(route, body, stream=stream)
        try:
            async for event in events:
                if isinstance(event, Finished):
                    outcome.more["fusion"] = event.record
                    if stream:
                        await _last_events(event, body, reply, outcome, headers)
                    else:
                        data = encode(event.completion)
                        kind = ("content-type", "application/json")
                        reply.send(200, [kind, *headers, *_safe(event.headers)], data)
                        outcome.status, outcome.sent_bytes = 200, len(data)
                    return
                if stream:
                    if not reply.started:
                        outcome.status = 200
                        reply.start(200, [*_EVENTS, *headers], None)
                    if isinstance(event, Piece) and outcome.first_byte_sec is None:
                        outcome.first_byte_sec = time.perf_counter() - job.begun
                    await _send(_event(event), reply, outcome)
        finally:
            if aclose := getattr(events, "aclose", None):
                await aclose()
        raise Refused(502, "fusion_failed", "Fusion ended without an answer.")

    async def refuse(self, refused: Refused, reply: Reply, outcome: Outcome) -> None:
        """Answer with an error, as far as that is still possible."""
        body = messages.error_body(refused)
        if not reply.started:
            outcome.status = refused.status
            reply.send(refused.status, messages.error_headers(refused), encode(body))
        elif outcome.algorithm == "fusion":
            await _send(b"data: %b\n\n" % encode(body), reply, outcome)
            reply.finish()
        else:
            reply.abort()


async def _pass_on(answer: StreamedAnswer, headers: list[tuple[str, str]], reply: Reply, outcome: Outcome) -> None:
    outcome.status = answer.status
    length = answer.headers.get("content-length", "")
    reply.start(answer.status, messages.returned(answer.headers) + headers, int(length) if length.isdigit() else None)
    async for data in answer.chunks():
        outcome.sent_bytes += len(data)
        await reply.write(data)
    reply.finish()


async def _break_off(answer: StreamedAnswer, failure: CallFailed, reply: Reply) -> None:
    """End an answer that its backend did not end: with a reason, where the form of the answer has room for one."""
    if (
        answer.headers.get("content-type", "").startswith("text/event-stream")
        and "content-length" not in answer.headers
    ):
        # Whatever was begun is ended by the empty line. Clients raise on an event with an error.
        error = encode(messages.error_body(messages.refusal(failure)))
        await reply.write(b"\n\ndata: %b\n\n" % error)
        reply.finish()
    else:
        reply.abort()


def _event(event: Progress | Piece) -> bytes:
    """Return an event as it is streamed.

    Progress is a comment: the official clients decode the data of every event, whatever its name, and would take it for
    a piece of the answer; comments are ignored by all.
    """
    data = encode(event.data)
    return b"data: %b\n\n" % data if isinstance(event, Piece) else b": %b %b\n\n" % (event.name.encode(), data)


async def _last_events(
    event: Finished, body: Mapping[str, object], reply: Reply, outcome: Outcome, headers: list[tuple[str, str]]
) -> None:
    if not reply.started:
        outcome.status = 200
        reply.start(200, [*_EVENTS, *headers, *_safe(event.headers)], None)
    completion = event.completion
    chunk = {
        "id": completion.get("id"),
        "object": "chat.completion.chunk",
        "created": completion.get("created"),
        "model": completion.get("model"),
    }
    lines = []
    if "fusion" in completion:
        # With a choice, as clients that did not ask for usage expect one in every chunk.
        choice = {"index": 0, "delta": {}, "finish_reason": None}
        lines.append(encode(chunk | {"choices": [choice], "fusion": completion["fusion"]}))
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is True and "usage" in completion:
        lines.append(encode(chunk | {"choices": [], "usage": completion["usage"]}))
    lines.append(b"[DONE]")
    await _send(b"".join(b"data: %b\n\n" % line for line in lines), reply, outcome)
    reply.finish()


async def _send(data: bytes, reply: Reply, outcome: Outcome) -> None:
    outcome.sent_bytes += len(data)
    await reply.write(data)


def _chosen(route: Route, job: Job) -> list[tuple[str, str]]:
    """Return the headers that tell what was chosen; more of them where the client asks for it."""
    outcome = job.outcome
    headers = [("x-request-id", job.identity), ("x-vsr-selected-model", header_text(outcome.model or ""))]
    if route.decision is not None:
        headers.append(("x-vsr-selected-decision", header_text(route.decision.name)))
        headers.append(("x-vsr-selected-algorithm", outcome.algorithm or ""))
    if job.request.headers.get("x-vsr-debug", "").lower() == "true":
        headers += _debug(route, outcome)
    return headers


def _debug(route: Route, outcome: Outcome) -> list[tuple[str, str]]:
    found: dict[str, list[str]] = {}
    for signal in route.signals:
        family, _, name = signal.partition(":")
        found.setdefault(_FAMILIES.get(family, family), []).append(name)
    headers = [(f"x-vsr-matched-{family}", ",".join(names)) for family, names in found.items()]
    headers += [(f"x-vsr-{family}-seconds", f"{seconds:.6f}") for family, seconds in route.timings_sec.items()]
    if route.degraded:
        headers.append(("x-vsr-degraded", ",".join(route.degraded)))
    if outcome.backend:
        headers.append(("x-vsr-backend", outcome.backend))
    return [(name, header_text(value)) for name, value in headers]


def _safe(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, header_text(value)) for name, value in headers.items() if value.isprintable()]
