"""`Upstream` over the models of the configuration."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tandem.router.calls import Answer, Call, CallFailed, Load
from tandem.router.upstream import load as loads
from tandem.router.upstream import retry
from tandem.router.upstream.load import Measured

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import TracebackType

    from tandem.router.upstream.backends import Backend, Group
    from tandem.router.upstream.connection import Connection
    from tandem.router.upstream.observer import Observer

_encode = msgspec.json.Encoder().encode
_SWEEP_SEC = 1.0
_MAX_HEALTH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent, whichever backend it goes to."""

    method: str
    path: str
    head: bytes
    body: bytes
    deadline: float

    def at(self, backend: Backend) -> bytes:
        line = f"{self.method} {backend.path(self.path)} HTTP/1.1\r\n".encode("latin-1")
        return b"".join((line, backend.head, self.head, self.body))


class Exchange:
    """An answer whose head has come: a StreamedAnswer. Iterates over its own body."""

    __slots__ = ("_connection", "backend", "headers", "server", "status")

    def __init__(self, server: Backend, connection: Connection) -> None:
        self.server, self._connection = server, connection
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self.backend = server.name

    def chunks(self) -> Exchange:
        """See StreamedAnswer."""
        return self

    def __aiter__(self) -> Exchange:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._connection.read()
        except CallFailed as failure:
            raise CallFailed(failure.failure, f"{self.backend}: {failure}") from None
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self, limit: int) -> bytes:
        """Return the whole body. Raises CallFailed, also for one longer than the limit."""
        try:
            return await self._connection.read_all(limit)
        except CallFailed as failure:
            raise CallFailed(failure.failure, f"{self.backend}: {failure}") from None

    def end(self, now: float) -> None:
        """Give the connection back, or close it if the answer has not ended."""
        self.server.active -= 1
        self.server.pool.give_back(self._connection, now)


class _Streaming:
    """The context of one streamed call."""

    __slots__ = ("_call", "_exchange", "_upstream")

    def __init__(self, upstream: HttpUpstream, call: Call) -> None:
        self._upstream, self._call = upstream, call
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Exchange:
        self._exchange = await self._upstream.open(self._call)
        return self._exchange

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange is not None:
            self._upstream.ended(self._call.model, self._exchange, error)


class HttpUpstream:
    """Balances, retries, ejects and checks the backends of all models.

    Call `start` once the loop runs, and `close` at the end.
    """

    def __init__(
        self, groups: Mapping[str, Group], observer: Observer, *, max_answer_bytes: int, measured: Collection[str] = ()
    ) -> None:
        self._groups = groups
        self._observer = observer
        self._max_answer_bytes = max_answer_bytes
        self._measured_models = [groups[model] for model in measured]
        self._measured: dict[Backend, Measured] = {}
        self._tasks: list[asyncio.Task[None]] = []

    # -- Upstream

    async def call(self, call: Call) -> Answer:
        """See Upstream."""
        async with _Streaming(self, call) as exchange:
            if exchange.headers.get("content-encoding", "identity") != "identity":
                raise CallFailed("garbage", f"{exchange.backend} answered in an encoding that nobody asked for")
            body = await exchange.read(self._max_answer_bytes)
        return Answer(status=exchange.status, headers=exchange.headers, body=body, backend=exchange.backend)

    def stream(self, call: Call) -> _Streaming:
        """See Upstream."""
        return _Streaming(self, call)

    def load(self, model: str) -> Load:
        """See Upstream."""
        group = self._groups.get(model)
        known = [self._measured[one] for one in group.backends if one in self._measured] if group else []
        return loads.least(known, asyncio.get_running_loop().time()) if known else Load()

    def can_serve(self, model: str) -> bool:
        """See Upstream."""
        group = self._groups.get(model)
        return group is not None and group.can_serve(asyncio.get_running_loop().time())

    @property
    def groups(self) -> Mapping[str, Group]:
        """Return the backends by model, for whoever shows their state."""
        return self._groups

    # -- life

    async def start(self) -> None:
        """Begin to check and measure; returns when each backend was checked once."""
        pairs = [(group, backend) for group in self._groups.values() for backend in group.backends if backend.weight]
        await asyncio.gather(*(self._check(group, backend) for group, backend in pairs))
        self._tasks = [
            asyncio.create_task(self._sweep()),
            *(asyncio.create_task(self._keep_checking(group, backend)) for group, backend in pairs),
            *(
                asyncio.create_task(self._measure(backend))
                for group in self._measured_models
                for backend in group.backends
            ),
        ]

    async def close(self) -> None:
        """Stop; calls under way are their callers' to cancel."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for group in self._groups.values():
            for backend in group.backends:
                backend.pool.close()

    # -- calls

    async def open(self, call: Call) -> Exchange:
        """Return an answer whose head has come, after retries. Raises CallFailed."""
        loop = asyncio.get_running_loop()
        group = self._groups.get(call.model)
        if group is None:
            raise CallFailed("connect", f"there is no model {call.model!r}")
        request = _request(call, group, loop.time() + call.timeout_sec)
        rules, attempt = group.reliability, 0
        tried: set[Backend] = set()
        while True:
            backend = group.choose(loop.time(), tried)
            if backend is None:
                raise CallFailed("connect", f"no backend of {call.model} is up: all failed their health checks")
            attempt += 1
            may_retry, wait_sec = attempt <= rules.retry_count, retry.backoff_sec(attempt)
            try:
                exchange = await self._attempt(group, backend, request)
            except CallFailed as failure:
                if not may_retry or not retry.after_failure(rules.retry_on, failure.failure):
                    raise
                outcome: str = failure.failure
            else:
                asked_sec = self._note_answer(group, exchange)
                outcome = str(exchange.status)
                if not may_retry or not retry.after_status(rules.retry_on, exchange.status):
                    return exchange
                if asked_sec is not None and not group.has_other(loop.time(), {*tried, backend}):
                    wait_sec = max(wait_sec, asked_sec)
                    if wait_sec > retry.MAX_WAIT_SEC or loop.time() + wait_sec >= request.deadline:
                        return exchange
                self.ended(call.model, exchange, None)
            self._observer.retried(call.model, backend.name, outcome)
            tried.add(backend)
            await asyncio.sleep(wait_sec)

    async def _attempt(self, group: Group, backend: Backend, request: _Request) -> Exchange:
        """Return an answer whose head has come; notes what went wrong otherwise. Raises CallFailed."""
        begun = time.perf_counter()  # the loop's clock is coarse
        backend.active += 1
        try:
            connection = await _ask(backend, request, asyncio.get_running_loop().time())
        except CallFailed as failure:
            backend.active -= 1
            self._observer.attempted(group.model, backend.name, failure.failure, time.perf_counter() - begun)
            self._note_failure(group, backend)
            raise CallFailed(failure.failure, f"{backend.name}: {failure}") from None
        except BaseException:
            backend.active -= 1
            self._observer.attempted(group.model, backend.name, "cancelled", time.perf_counter() - begun)
            raise
        self._observer.attempted(group.model, backend.name, str(connection.status), time.perf_counter() - begun)
        return Exchange(backend, connection)

    def ended(self, model: str, exchange: Exchange, error: BaseException | None) -> None:
        """End an exchange, with what its user met."""
        group = self._groups[model]
        if isinstance(error, CallFailed) and error.failure in ("closed", "garbage", "timeout"):
            self._note_failure(group, exchange.server)
        elif exchange.status < 500 and error is None:
            group.answered(exchange.server)
        exchange.end(asyncio.get_running_loop().time())

    def _note_failure(self, group: Group, backend: Backend) -> None:
        seconds = group.failed(backend, asyncio.get_running_loop().time())
        if seconds:
            self._observer.ejected(group.model, backend.name, seconds)

    def _note_answer(self, group: Group, exchange: Exchange) -> float | None:
        """Note the status of an answer, and return what its Retry-After asks for."""
        if exchange.status >= 500:
            self._note_failure(group, exchange.server)
        if exchange.status not in (429, 503):
            return None
        asked_sec = retry.retry_after_sec(exchange.headers.get("retry-after"))
        if asked_sec:
            group.rest(exchange.server, asyncio.get_running_loop().time(), asked_sec)
        return asked_sec

    # -- in the background

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SEC)
            now = asyncio.get_running_loop().time()
            for group in self._groups.values():
                for backend in group.backends:
                    backend.pool.sweep(now)

    async def _keep_checking(self, group: Group, backend: Backend) -> None:
        while True:
            await asyncio.sleep(group.reliability.health_check_interval * random.uniform(0.9, 1.1))  # noqa: S311
            await self._check(group, backend)

    async def _check(self, group: Group, backend: Backend) -> None:
        """Check one backend; without a path of its own only that it takes connections."""
        path, reason = group.reliability.health_check_path, ""
        if path is None:
            await backend.pool.probe(group.reliability.health_check_timeout)
            return
        try:
            answer = await _get(backend, path, group.reliability.health_check_timeout, _MAX_HEALTH_BYTES)
            if answer.status != 200:
                reason = f"status {answer.status}"
        except CallFailed as failure:
            reason = str(failure)
        if backend.checked(healthy=not reason):
            self._observer.health(group.model, backend.name, up=bool(backend.up), reason=reason)

    async def _measure(self, backend: Backend) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                answer = await _get(backend, "/metrics", loads.TIMEOUT_SEC, loads.MAX_BYTES)
                if answer.status == 200:
                    self._measured[backend] = Measured(loads.parse(answer.body), loop.time())
            except CallFailed:
                pass  # what is known grows old, and then counts as unknown
            await asyncio.sleep(loads.INTERVAL_SEC)


def _request(call: Call, group: Group, deadline: float) -> _Request:
    body = _encode({**call.body, "model": group.name_there})
    own = group.backends[0].own  # those of a model are alike in this, see the checks of the configuration
    lines = [f"{name}: {value}\r\n" for name, value in call.headers.items() if name.lower() not in own]
    lines.append(f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n")
    return _Request("POST", call.path, "".join(lines).encode("latin-1"), body, deadline)


async def _ask(backend: Backend, request: _Request, now: float) -> Connection:
    """Return a connection on which the head of the answer has come."""
    data = request.at(backend)
    connection = backend.pool.reuse(now)
    reused = connection is not None
    while True:
        if connection is None:
            connection = await backend.pool.connect(request.deadline)
        try:
            connection.ask(data, request.deadline)
            await connection.head()
        except CallFailed as failure:
            connection.abort()
            if not reused or connection.received or failure.failure != "closed":
                raise
            # The backend closed the idle connection while we took it up: that request was never looked at.
            connection, reused = None, False
        except BaseException:
            connection.abort()
            raise
        else:
            return connection


async def _get(backend: Backend, path: str, timeout_sec: float, limit: int) -> Answer:
    """Ask a backend itself, not one of its models. Raises CallFailed."""
    loop = asyncio.get_running_loop()
    # At the root of the server, whatever the path of its address is.
    data = b"".join((f"GET {path} HTTP/1.1\r\n".encode(), backend.head, b"accept: */*\r\n\r\n"))
    deadline = loop.time() + timeout_sec
    connection = await backend.pool.connect(deadline)
    try:
        connection.ask(data, deadline)
        await connection.head()
        body = await connection.read_all(limit)
    finally:
        connection.abort()
    return Answer(status=connection.status, headers=connection.headers, body=body, backend=backend.name)
