"""The connection of a client: HTTP/1.1 on the protocol level of asyncio, parsed by llhttp, everything bounded.

One request is answered at a time. Meanwhile we read on, as that is how the end of a client is seen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from tandem.router.calls import Refused
from tandem.router.serve import messages
from tandem.router.serve.messages import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tandem.router.serve.messages import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, and all of them together, can make us hold."""

    max_request_bytes: int = 32 << 20
    max_buffered_bytes: int = 512 << 20
    max_connections: int = 4096
    max_head_bytes: int = 32768
    max_headers: int = 100
    head_timeout_sec: float = 15.0
    #: A body may take this long, and as much longer as it has bytes at this rate.
    body_timeout_sec: float = 30.0
    body_bytes_per_sec: int = 16384
    idle_timeout_sec: float = 75.0
    #: What is left to send must have gone this long after the end.
    close_timeout_sec: float = 5.0


#: Requests that a client may send before it has an answer; then it has to wait.
_MAX_PIPELINED = 4
#: Bytes that are neither head nor body: extensions of chunks, trailers.
_MAX_QUIET_BYTES = 65536
#: The kernel holds about as much again.
_HIGH_WATER_BYTES = 65536
#: A client that sends on after a refusal gets to read it, if this is enough for the rest.
_MAX_DISCARDED_BYTES = 1 << 20
_SMALL_BYTES = 16384


class Application(Protocol):
    """What answers requests."""

    def admit(self, request: Request) -> Refused | None:
        """Look at the head of a request; what is refused here, its body is not read."""
        ...

    async def handle(self, request: Request, reply: Reply) -> None:
        """Answer a request. Being cancelled means that the client is gone."""
        ...


class Clients:
    """All connections of clients, and what they hold together."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connections: set[ClientConnection] = set()
        self.buffered_bytes = 0
        self.stopping = False

    def sweep(self, now: float) -> None:
        """Close what took too long."""
        for connection in tuple(self.connections):
            connection.sweep(now)

    def stop(self) -> None:
        """Close idle connections, and the others after their request."""
        self.stopping = True
        for connection in tuple(self.connections):
            connection.close_if_idle()

    def abort(self) -> None:
        """Close everything at once; requests under way are cancelled."""
        for connection in tuple(self.connections):
            connection.abort()


class ClientConnection(asyncio.Protocol):
    """Reads requests, sends answers."""

    def __init__(self, clients: Clients, application: Application, loop: asyncio.AbstractEventLoop) -> None:
        self._clients, self._limits = clients, clients.limits
        self._application, self._loop = application, loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        # The request that is coming in.
        self._begun = 0.0
        self._phase = "idle"
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_count = self._head_bytes = 0
        self._request: Request | None = None
        self._parts: list[bytes] = []
        self._received = self._quiet = self._held = 0
        self._refused: Refused | None = None
        # The requests that have come in, and the answer under way.
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused = self._discarding = self._closing = self._lost = self._resuming = False
        self._discarded = 0

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._begun, self._phase = self._loop.time(), "head"
        if self._clients.stopping or len(self._clients.connections) >= self._limits.max_connections:
            self._clients.connections.add(self)
            why = "stopping" if self._clients.stopping else f"serving {self._limits.max_connections} connections"
            self._refuse(Refused(503, "overloaded", f"The router is {why}; come again.", retry_after_sec=1))
            return
        self._clients.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._discarding:
            self._discarded += len(data)
            if self._discarded > _MAX_DISCARDED_BYTES:
                self.abort()
            return
        if self._phase == "idle":
            self._phase, self._begun = "head", self._loop.time()
        self._quiet += len(data)
        rest: bytes | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            self.abort()
            raise  # a defect of ours, for the event loop to log
        except httptools.HttpParserError as error:
            self._refused = self._refused or Refused(400, "bad_request", f"This is not HTTP/1.1: {error}.")
        if self._refused is None:
            self._check_size()
        if self._refused is not None:
            self._refuse(self._refused)
        elif rest is not None:
            self._read_on(rest)

    def _read_on(self, rest: bytes) -> None:
        """Read the body of a request that asked for another protocol: the parser takes all that follows for that.

        The request is answered as if it had not asked, as HTTP has it. Java's client asks every server for HTTP/2.
        """
        request = self._request
        if request is None:
            # It had no body. What follows may be in the other protocol, and is not answered.
            self._discarding = self._closing = True
            return
        self._parser, self._resuming = httptools.HttpRequestParser(self), True
        names = ("connection", "content-length", "transfer-encoding")
        lines = [f"{name}: {request.headers[name]}" for name in names if name in request.headers]
        self._parser.feed_data("\r\n".join((f"POST / HTTP/{request.version}", *lines, "", "")).encode("latin-1"))
        if rest:
            self.data_received(rest)

    def eof_received(self) -> bool:
        """See asyncio.Protocol. A client that will not send any more is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """See asyncio.Protocol."""
        self._lost = True
        del self._parser  # it refers to us
        self._clients.connections.discard(self)
        self._release(self._held)
        self._waiting.clear()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # -- what the parser calls

    def on_message_begin(self) -> None:
        """See httptools."""
        if self._resuming:
            return
        self._target, self._headers, self._header_count, self._head_bytes = b"", {}, 0, 0
        self._request, self._parts, self._received = None, [], 0
        if self._phase == "idle":
            self._phase, self._begun = "head", self._loop.time()

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        self._target += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Trailers are dropped."""
        if self._request is not None or self._refused is not None:
            return
        self._header_count += 1
        self._head_bytes += len(name) + len(value) + 4
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key not in self._headers:
            self._headers[key] = text
        elif key in ("content-length", "transfer-encoding", "host"):
            self._refused = Refused(400, "bad_request", f"The header {key} came twice.")
        else:
            self._headers[key] += f", {text}"
        if self._header_count > self._limits.max_headers:
            limit = self._limits.max_headers
            self._refused = Refused(431, "head_too_large", f"A request has at most {limit} headers.")
        elif self._head_bytes > self._limits.max_head_bytes:
            # Also of a head that comes in one piece.
            self._refused = self._head_too_large()

    def on_headers_complete(self) -> None:
        """See httptools."""
        if self._resuming:
            self._resuming = False
            return
        if self._refused is not None:
            return
        method, version = self._parser.get_method().decode("latin-1"), self._parser.get_http_version()
        self._refused = _unclear(self._headers, version)
        if self._refused is not None:
            return
        path = self._target.split(b"?", 1)[0].decode("latin-1")
        self._request = Request(method, path, version, self._headers, self._peer)
        self._refused = self._application.admit(self._request)
        self._phase, self._quiet, self._begun = "body", 0, self._loop.time()
        if self._refused is None and self._headers.get("expect") and version == "1.1":
            if self._headers["expect"].lower() != "100-continue":
                self._refused = Refused(417, "expectation_failed", "Expect: 100-continue is all that is known here.")
            elif self._task is None:
                self.put(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if self._refused is not None:
            return
        size = len(body)
        self._received += size
        self._held += size
        self._clients.buffered_bytes += size
        self._quiet = 0
        if self._received > self._limits.max_request_bytes:
            self._refused = too_large(self._limits)
        elif self._clients.buffered_bytes > self._limits.max_buffered_bytes:
            self._refused = Refused(503, "overloaded", "Too many large requests at once.", retry_after_sec=1)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        request = self._request
        if self._refused is not None or request is None:
            return
        if self._parser.should_upgrade() and _has_body(self._headers):
            return  # its body is still to come, see _read_on
        request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._request, self._quiet = [], None, 0
        self._phase = "idle"
        self._waiting.append((request, self._parser.should_keep_alive()))
        if self._task is None:
            self._next()
        elif len(self._waiting) >= _MAX_PIPELINED and not self._paused and (transport := self._alive()):
            self._paused = True
            transport.pause_reading()

    # -- the life of a connection

    def sweep(self, now: float) -> None:
        """Close the connection if its client is too slow."""
        limits, waited = self._limits, now - self._begun
        if self._discarding or self._closing:
            if self._task is None and waited > limits.close_timeout_sec:
                self.abort()
        elif self._phase == "head" and self._task is None and waited > limits.head_timeout_sec:
            self._refuse(Refused(408, "timeout", "The head of the request did not come in time."))
        elif self._phase == "body" and waited > limits.body_timeout_sec + self._received / limits.body_bytes_per_sec:
            self._refuse(Refused(408, "timeout", "The body of the request did not come in time."))
        elif self._phase == "idle" and self._task is None and waited > limits.idle_timeout_sec:
            self.abort()

    def close_if_idle(self) -> None:
        """Close the connection if nothing is asked on it."""
        if self._task is None and self._phase != "body":
            self._close()

    def abort(self) -> None:
        """Close the connection at once; a request under way is cancelled."""
        if self._transport is not None and not self._lost:
            self._transport.abort()

    def _check_size(self) -> None:
        if self._phase == "head" and self._quiet > self._limits.max_head_bytes:
            self._refused = self._head_too_large()
        elif self._phase == "body" and self._quiet > _MAX_QUIET_BYTES:
            self._refused = Refused(400, "bad_request", "The chunks of the body are mostly not body.")

    def _head_too_large(self) -> Refused:
        limit = self._limits.max_head_bytes
        return Refused(431, "head_too_large", f"The head of a request has at most {limit} bytes.")

    def _refuse(self, refused: Refused) -> None:
        """Answer what cannot be answered well, and read nothing more."""
        self._refused, self._discarding, self._parts = None, True, []
        self._waiting.clear()
        if self._task is not None:
            # Asked before the answer to another request: that one is finished, and then the connection ends.
            self._closing = True
            return
        self._release(self._held)
        _Reply(self, "1.1", keep_alive=False).send(
            refused.status, messages.error_headers(refused), messages.encode(messages.error_body(refused))
        )
        self._close(linger=True)

    def _next(self) -> None:
        request, keep_alive = self._waiting.popleft()
        # Here and not in the task, as many requests come in whole: less to switch between.
        reply = _Reply(self, request.version, keep_alive=keep_alive, bodiless=request.method == "HEAD")
        self._task = self._loop.create_task(self._run(request, reply))

    async def _run(self, request: Request, reply: _Reply) -> None:
        size = len(request.body)
        done = False
        try:
            await self._application.handle(request, reply)
            done = True
        finally:
            self._release(min(size, self._held))
            self._task = None
            if not done and not reply.started:
                # A defect of ours: the event loop logs the traceback, the client is told that it has no part in it.
                failed = Refused(500, "internal_error", "The router failed; its log says more.")
                reply.keep_alive = False
                reply.send(500, messages.error_headers(failed), messages.encode(messages.error_body(failed)))
                self._close()
            elif not reply.finished:
                self.abort()
            else:
                self._answered(reply)

    def _answered(self, reply: _Reply) -> None:
        self._begun = self._loop.time()
        if self._lost:
            return
        if not reply.keep_alive or self._closing or self._clients.stopping:
            self._close()
            return
        if self._waiting:
            self._next()
        if self._paused and len(self._waiting) < _MAX_PIPELINED and (transport := self._alive()):
            self._paused = False
            transport.resume_reading()

    def _close(self, *, linger: bool = False) -> None:
        """Close once all is sent. With `linger` read on for a while: a reset could overtake the answer."""
        self._closing, self._begun = True, self._loop.time()
        transport = self._alive()
        if transport is None:
            return
        if linger and transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def _alive(self) -> asyncio.Transport | None:
        """Return the transport if it can still be used: uvloop's raises once it is closing."""
        transport = self._transport
        return None if transport is None or self._lost or transport.is_closing() else transport

    def _release(self, size: int) -> None:
        self._held -= size
        self._clients.buffered_bytes -= size

    # -- what replies use

    @property
    def stopping(self) -> bool:
        """Tell whether this is the last answer on the connection."""
        return self._closing or self._clients.stopping

    def put(self, *data: bytes) -> None:
        """Send bytes."""
        transport = self._alive()
        if transport is None:
            return
        if len(data) == 1:
            transport.write(data[0])
        else:
            transport.writelines(data)

    async def drain(self) -> None:
        """Wait while the client does not read."""
        if self._writable is not None and not self._lost:
            await self._writable


class _Reply:
    """See messages.Reply."""

    __slots__ = ("_bodiless", "_chunked", "_connection", "_remaining", "_version", "finished", "keep_alive", "started")

    def __init__(self, connection: ClientConnection, version: str, *, keep_alive: bool, bodiless: bool = False) -> None:
        self._connection, self._version, self._bodiless = connection, version, bodiless
        self.keep_alive = keep_alive
        self.started = self.finished = self._chunked = False
        self._remaining: int | None = None

    def _head(self, status: int, headers: Iterable[tuple[str, str]]) -> bytes:
        self.started = True
        if self._connection.stopping:
            self.keep_alive = False
        if self.keep_alive and self._version == "1.0":
            headers = (*headers, ("connection", "keep-alive"))
        return messages.head(status, headers, keep_alive=self.keep_alive)

    def send(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        head = self._head(status, (*headers, ("content-length", str(len(body)))))
        if self._bodiless:
            body = b""
        self._connection.put(
            head + body if len(body) < _SMALL_BYTES else head, *([body] if len(body) >= _SMALL_BYTES else [])
        )
        self.finished = True

    def start(self, status: int, headers: Iterable[tuple[str, str]], length: int | None) -> None:
        self._remaining = 0 if status in (204, 304) else length
        if self._remaining is None and self._version == "1.0":
            self.keep_alive = False
        elif self._remaining is None:
            self._chunked = True
            headers = (*headers, ("transfer-encoding", "chunked"))
        elif status != 204:
            headers = (*headers, ("content-length", str(self._remaining)))
        self._connection.put(self._head(status, headers))

    async def write(self, data: bytes) -> None:
        if not data:
            return  # a chunk of no bytes would be the end
        if self._chunked:
            if len(data) < _SMALL_BYTES:
                self._connection.put(b"%x\r\n%b\r\n" % (len(data), data))
            else:
                self._connection.put(b"%x\r\n" % len(data), data, b"\r\n")
        else:
            if self._remaining is not None:
                self._remaining -= len(data)
            self._connection.put(data)
        await self._connection.drain()

    def finish(self) -> None:
        if self._remaining:
            return  # less than was said: the connection is closed instead
        if self._chunked:
            self._connection.put(b"0\r\n\r\n")
        self.finished = True

    def abort(self) -> None:
        self._connection.abort()


def too_large(limits: Limits) -> Refused:
    """Return the refusal of a body beyond the limit."""
    return Refused(413, "request_too_large", f"A request has at most {limits.max_request_bytes} bytes.")


def _has_body(headers: dict[str, str]) -> bool:
    return headers.get("content-length", "0").strip("0") != "" or "transfer-encoding" in headers


def _unclear(headers: dict[str, str], version: str) -> Refused | None:
    """Refuse what two servers in a row could understand differently, and so take one request for two."""
    if version not in ("1.0", "1.1"):
        return Refused(505, "bad_request", f"HTTP/{version} is not spoken here.")
    encoding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if encoding is not None and length is not None:
        return Refused(400, "bad_request", "Content-Length beside Transfer-Encoding.")
    if encoding is not None and (encoding.lower() != "chunked" or version == "1.0"):
        return Refused(400, "bad_request", "A Transfer-Encoding other than chunked.")
    if length is not None and not (length.isascii() and length.isdigit()):
        return Refused(400, "bad_request", "A Content-Length that is no number.")
    if version == "1.1" and "host" not in headers:
        return Refused(400, "bad_request", "A request without Host.")
    return None
