"""A loop whose time is virtual, an upstream that follows a script, and configurations for panels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import selectors
from dataclasses import dataclass, field, replace

import yaml

from tandem.router.calls import Answer, CallFailed, Finished, Load, Piece, Progress, Refused, Route
from tandem.router.config.load import load
from tandem.router.fusion.build import build_fuse
from tandem.router.fusion.tokens import of_request


class _Jump(selectors.DefaultSelector):
    """Looks at its files, and takes the time that it would have waited as passed."""

    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if not ready and timeout:
            self._loop.passed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps take no time and are exact."""

    def __init__(self):
        self.passed = 0.0
        super().__init__(_Jump(self))

    def time(self):
        return self.passed


def run(coroutine):
    """Run in virtual time, and check that no task is left."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(coroutine)
        left = asyncio.all_tasks(loop)
        assert not left, left
        return result
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@dataclass
class Says:
    """How a model answers: after a time, in pieces, with a failure, or never."""

    text: str = "yes"
    after: float = 1.0
    prompt: int | None = 10
    completion: int | None = 5
    finish: str | None = "stop"
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes | None = None
    fails: CallFailed | None = None
    message: dict = field(default_factory=dict)
    choice: dict = field(default_factory=dict)
    #: Of a stream: the time between pieces, and after how many of them it breaks off or hangs.
    every: float = 0.1
    breaks_after: int | None = None
    hangs_after: int | None = None
    error_after: int | None = None
    slow_to_close: float = 0.0
    #: Takes as many tokens as it may, of its prompt and for its answer.
    greedy: bool = False

    @property
    def words(self):
        return [part + " " for part in self.text.split()] if self.text.strip() else [self.text]

    @property
    def usage(self):
        if self.prompt is None:
            return None
        total = self.prompt + (self.completion or 0)
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}


NEVER = 10.0**7


@dataclass
class Seen:
    """A call as the upstream saw it."""

    call: object
    stage: str
    at: float
    streamed: bool
    ended: str | None = None
    ended_at: float | None = None
    says: object = None

    @property
    def most_tokens(self):
        """Return what it may have used: what was counted, or all that was possible where nobody knows."""
        says = self.says
        if says.status != 200 or (says.fails and says.fails.failure in ("connect", "status", "busy")):
            return 0, 0
        if self.ended == "done" and says.usage:
            return says.prompt, says.completion
        return of_request(self.call.body), self.call.body["max_completion_tokens"]

    @property
    def prompt(self):
        return self.call.body["messages"][-1]["content"]


class Script:
    """An upstream. Answers by (model, stage), or by model; a list gives one after another."""

    def __init__(self, says, loads=None):
        self.says = says
        self.loads = loads or {}
        self.seen = []

    def load(self, model):
        found = self.loads.get(model, Load())
        return found.pop(0) if isinstance(found, list) else found

    def _next(self, call, *, streamed):
        assert call.path == "/v1/chat/completions"
        assert call.headers == {"x-tandem-fusion-depth": "1"}
        assert call.timeout_sec > 0
        assert "model" not in call.body
        json.dumps(call.body)
        last = call.body["messages"][-1]["content"]
        stage = "panel"
        if isinstance(last, str) and "judge their answers" in last:
            stage = "judge"
        elif isinstance(last, str) and "final answer" in last:
            stage = "synthesis"
        found = self.says.get((call.model, stage), self.says.get(call.model))
        found = found.pop(0) if isinstance(found, list) else found
        if found.greedy:
            most = call.body.get("max_completion_tokens", 10**6)
            found = replace(found, prompt=of_request(call.body), completion=most)
        seen = Seen(call, stage, asyncio.get_running_loop().time(), streamed)
        seen.says = found
        self.seen.append(seen)
        return found, seen

    @contextlib.contextmanager
    def _noted(self, seen):
        try:
            yield
            seen.ended = "done"
        except asyncio.CancelledError:
            seen.ended = "cancelled"
            raise
        except CallFailed:
            seen.ended = "failed"
            raise
        finally:
            seen.ended_at = asyncio.get_running_loop().time()

    async def call(self, call):
        says, seen = self._next(call, streamed=False)
        assert not call.body.get("stream")
        with self._noted(seen):
            try:
                await asyncio.sleep(says.after)
            except asyncio.CancelledError:
                await asyncio.sleep(says.slow_to_close)
                raise
            if says.fails:
                raise says.fails
            body = says.body
            if body is None:
                message = {"role": "assistant", "content": says.text, **says.message}
                choice = {"index": 0, "message": message, "finish_reason": says.finish, **says.choice}
                document = {"id": "chatcmpl-1", "object": "chat.completion", "model": "real", "choices": [choice]}
                if says.usage:
                    document["usage"] = says.usage
                body = json.dumps(document).encode()
            return Answer(status=says.status, headers=says.headers, body=body, backend=f"{call.model}:8000")

    @contextlib.asynccontextmanager
    async def stream(self, call):
        says, seen = self._next(call, streamed=True)
        assert call.body["stream"] is True
        with self._noted(seen):
            await asyncio.sleep(says.after)
            if says.fails:
                raise says.fails
            yield _Streamed(says, call.model)


@dataclass
class _Streamed:
    says: Says
    model: str

    @property
    def status(self):
        return self.says.status

    @property
    def headers(self):
        return self.says.headers

    @property
    def backend(self):
        return f"{self.model}:8000"

    async def chunks(self):
        says = self.says
        if says.body is not None:
            yield says.body
            await asyncio.sleep(NEVER if says.hangs_after == 0 else 0)
            return
        yield _event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for number, word in enumerate(says.words):
            if number == says.hangs_after:
                await asyncio.sleep(NEVER)
            if number == says.breaks_after:
                raise CallFailed("closed", "the connection was closed")
            if number == says.error_after:
                yield _event({"error": {"message": "out of memory", "code": 500}})
                return
            await asyncio.sleep(says.every)
            yield _event({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        if says.message.get("tool_calls"):
            yield _event({"choices": [{"index": 0, "delta": {"tool_calls": says.message["tool_calls"]}}]})
        if says.finish:
            yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": says.finish}]})
        if says.usage:
            yield _event({"choices": [], "usage": says.usage})
        if says.finish:
            yield b"data: [DONE]\n\n"


def _event(document):
    base = {"id": "chatcmpl-real", "object": "chat.completion.chunk", "created": 1, "model": "real-name"}
    return b"data: " + json.dumps({**base, **document}).encode() + b"\r\n\r\n"


MODELS = ("a", "b", "c", "judge", "spare")


def config(fusion=None, limits=None, *, prices=True, cards=None, panel=("a", "b"), looper=None):
    """Return a configuration with one decision, a fusion."""
    priced = {"pricing": {"currency": "EUR", "prompt_per_1m": 1.0, "completion_per_1m": 10.0}} if prices else {}
    tree = {
        "version": "v0.3",
        "listeners": [{"name": "http", "address": "127.0.0.1", "port": 8899}],
        "providers": {
            "models": [
                {
                    "name": name,
                    "backend_refs": [{"endpoint": f"{name}:8000"}],
                    **priced,
                }
                for name in MODELS
            ]
        },
        "routing": {
            "modelCards": cards or [],
            "decisions": [
                {
                    "name": "panel",
                    "priority": 1,
                    "modelRefs": [{"model": name} for name in panel],
                    "algorithm": {"type": "fusion", "fusion": {"model": "judge", **(fusion or {})}},
                    "annotations": {"tandem": limits or {}},
                }
            ],
        },
        "global": {"integrations": {"looper": looper or {}}},
    }
    loaded = load(yaml.safe_dump(tree).encode())
    assert loaded.config, loaded.problems
    return loaded.config


class Notes:
    """An observer that remembers."""

    def __init__(self):
        self.calls, self.failures, self.requests = [], [], []

    def call_ended(self, decision, call):
        self.calls.append(call)

    def quorum_failed(self, failure):
        self.failures.append(failure)

    def request_ended(self, record):
        self.requests.append(record)


@dataclass
class Told:
    """What came of a request."""

    events: list = field(default_factory=list)
    refused: Refused | None = None
    at: list = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    ended_at: float = 0.0

    @property
    def finished(self):
        assert self.refused is None, self.refused
        assert isinstance(self.events[-1], Finished)
        assert sum(isinstance(event, Finished) for event in self.events) == 1
        return self.events[-1]

    @property
    def completion(self):
        return self.finished.completion

    @property
    def content(self):
        return self.completion["choices"][0]["message"]["content"]

    @property
    def fusion(self):
        return self.completion["fusion"]

    @property
    def degraded(self):
        return self.fusion.get("degraded", [])

    @property
    def outcomes(self):
        """Return how each call ended."""
        record = self.refused.record if self.refused else self.finished.record
        return [(call["stage"], call["model"], call["outcome"]) for call in record["calls"]]

    @property
    def pieces(self):
        return [event.data for event in self.events if isinstance(event, Piece)]

    @property
    def progress(self):
        return [event.name for event in self.events if isinstance(event, Progress)]


BODY = {
    "model": "vllm-sr/fusion",
    "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "why?"}],
}


def ask(upstream, configuration=None, body=None, *, stream=False, slow_client=0.0, observer=None):
    """Return what a request comes to."""
    configuration = configuration or config()
    told = Told()
    fuse = build_fuse(configuration, upstream, observer or told.notes)

    async def main():
        loop = asyncio.get_running_loop()
        route = Route(models=configuration.routing.decisions[0].panel, decision=configuration.routing.decisions[0])
        try:
            async with contextlib.aclosing(fuse.run(route, body or BODY, stream=stream)) as events:
                async for event in events:
                    told.events.append(event)
                    told.at.append(loop.time())
                    if slow_client:
                        await asyncio.sleep(slow_client)
        except Refused as refused:
            told.refused = refused
        told.ended_at = loop.time()

    run(main())
    return told


ANALYSIS = json.dumps({"consensus": ["both agree"], "contradictions": [], "blind_spots": ["the rest"]})


def panel(**changes):
    """Return a script in which everybody answers."""
    says = {
        "a": Says("the sky is blue", after=1.0),
        "b": Says("blue it is, the sky", after=2.0),
        "c": Says("light scatters in air", after=3.0),
        ("judge", "judge"): Says(ANALYSIS, after=0.5),
        ("judge", "synthesis"): Says("Blue light scatters most .", after=0.7, prompt=100, completion=20),
        "spare": Says("a spare answer", after=1.0),
    }
    return Script({**says, **changes})
