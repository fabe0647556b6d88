"""What routing, fusion and the server say to each other, so that each is tested with stand-ins for the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from tandem.router.config.routing import Decision

#: How a call can end without an answer of the model. `busy` was not sent, as the engine has too much to do.
Failure = Literal["busy", "connect", "timeout", "closed", "too_large", "garbage", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one model of the configuration. The body's `model` is put in by the upstream."""

    model: str
    body: Mapping[str, object]
    timeout_sec: float
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, of any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    backend: str


class StreamedAnswer(Protocol):
    """An answer whose head has come. Leaving its context cancels the rest of it."""

    status: int
    headers: Mapping[str, str]
    backend: str

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, byte for byte. Raises CallFailed."""
        ...


class CallFailed(Exception):
    """No answer came, or it broke off.

    Attributes:
        failure: What happened.
        retry_after_sec: What the backend asked for, where it did.
    """

    def __init__(self, failure: Failure, message: str, *, retry_after_sec: float | None = None) -> None:
        super().__init__(message)
        self.failure = failure
        self.retry_after_sec = retry_after_sec


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the engines of a model say of themselves: the least loaded backend. None is not known."""

    waiting_requests: int | None = None
    kv_cache_usage: float | None = None


class Upstream(Protocol):
    """The models, with balancing, retries and ejection behind them. Cancelling a call closes its connection."""

    async def call(self, call: Call) -> Answer:
        """Return the whole answer. Raises CallFailed."""
        ...

    def stream(self, call: Call) -> AbstractAsyncContextManager[StreamedAnswer]:
        """Return the answer once its head has come. Raises CallFailed."""
        ...

    def load(self, model: str) -> Load:
        """Return what is known now, without waiting."""
        ...

    def can_serve(self, model: str) -> bool:
        """Tell whether a backend of the model is neither down nor ejected, without waiting."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What happens to a request.

    Attributes:
        models: Names of the configuration; of several, the first that can serve. For fusion the panel.
        decision: What was decided by; None for a physical name, or the default model.
        signals: Names of the signals that matched, as `keyword:NAME`.
        degraded: Families of signals that could not be evaluated, and why; their conditions did not hold.
        timings_sec: Family of signals, and how long it took.
    """

    models: tuple[str, ...]
    decision: Decision | None = None
    signals: tuple[str, ...] = ()
    degraded: Mapping[str, str] = field(default_factory=dict)
    timings_sec: Mapping[str, float] = field(default_factory=dict)


class Refused(Exception):
    """A request that is answered with an error of ours, in the form of OpenAI's API.

    Attributes:
        status: Of HTTP.
        code: Machine-readable, such as `model_not_found`.
        retry_after_sec: When it makes sense to come again.
        record: What was done before, for the log, where that was something.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_sec: float | None = None,
        record: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_sec = retry_after_sec
        self.record = record


class Routing(Protocol):
    """Signals and decisions."""

    async def route(self, body: Mapping[str, object], path: str) -> Route:
        """Return what happens to the request. Raises Refused."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """An event before the answer: `name` such as `panel.member`, and a JSON object."""

    name: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Piece:
    """A chat.completion.chunk of the synthesis, ready to be sent as JSON."""

    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a fusion: the whole chat.completion with its `fusion` object, the record for the log, headers to send.

    Of a streamed answer `completion` has been sent in pieces already, apart from its `fusion` and `usage`.
    """

    completion: Mapping[str, object]
    record: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


FusionEvent = Progress | Piece | Finished


class Fuse(Protocol):
    """Panel, judge and synthesis."""

    def run(self, route: Route, body: Mapping[str, object], *, stream: bool) -> AsyncIterator[FusionEvent]:
        """Yield what happens, last a Finished. Raises Refused, also in the middle of an answer: then that is its end.

        Closing it cancels every call that is under way: use it in contextlib.aclosing.
        """
        ...
