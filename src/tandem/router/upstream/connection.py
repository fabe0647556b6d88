"""One connection to a backend: HTTP/1.1, one request at a time, everything bounded.

Written on the protocol level of asyncio with llhttp, as the layers of a client library cost more than the rest of the
router together (docs/decisions/0008).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from tandem.router.calls import CallFailed

if TYPE_CHECKING:
    from tandem.router.calls import Failure

MAX_HEAD_BYTES = 65536
MAX_HEADERS = 256
#: What may come without a byte of a body: interim answers, trailers, extensions of chunks.
MAX_QUIET_BYTES = 524288
#: More is left to the kernel until somebody reads: a slow client slows its backend down.
HIGH_WATER_BYTES = 131072


class Connection(asyncio.Protocol):
    """Sends a request, gives its answer out as it comes.

    Attributes:
        status: Of the answer, once its head has come.
        headers: Of the answer, names in lower case; a name that came again is joined by a comma.
        received: Whether any byte of the answer has come.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._buffered = 0
        self._quiet = 0
        self._head_bytes = 0
        self._lost = False
        self._failed: CallFailed | None = None
        self._asked = self._has_head = self._complete = self._interim = False
        self._until_close = self._paused = self._spoiled = False
        self._reusable = False
        self.received = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.idle_since = 0.0

    # -- what the pool and the calls use

    def ask(self, request: bytes, deadline: float) -> None:
        """Send a request; everything until the end of its answer must happen before the deadline."""
        self._parts.clear()
        self._buffered = self._quiet = self._head_bytes = 0
        self._has_head = self._complete = self._interim = self._until_close = self.received = False
        self._reusable, self._failed, self.status, self.headers = False, None, 0, {}
        self._asked = True
        self._timer = self._loop.call_at(deadline, self._expire)
        if transport := self._alive():
            transport.write(request)
        else:
            self._fail("closed", "the connection was closed before the request was sent")

    async def head(self) -> None:
        """Wait for the head of the answer. Raises CallFailed."""
        while not self._has_head:
            if self._failed:
                raise self._failed
            await self._wait()

    async def read(self) -> bytes:
        """Return what has come of the body, and nothing at its end. Raises CallFailed where it breaks off."""
        while not self._parts:
            if self._failed:
                raise self._failed
            if self._complete:
                return b""
            await self._wait()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._paused and (transport := self._alive()):
            self._paused = False
            transport.resume_reading()
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body. Raises CallFailed, also for one longer than the limit."""
        length = self.headers.get("content-length", "")
        size = int(length) if length.isdigit() else 0
        parts = []
        if size <= limit:
            size = 0
            while size <= limit and (data := await self.read()):
                size += len(data)
                parts.append(data)
        if size > limit:
            raise CallFailed("too_large", f"the answer has more than {limit} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def leave(self) -> bool:
        """End the request; tell whether the connection can take another. Closes it otherwise."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        fine = self._complete and self._reusable and not (self._parts or self._spoiled or self._lost or self._failed)
        # An answer may come before all of its request was sent: then the rest must not be taken for the next one.
        transport = self._alive()
        if not fine or transport is None or transport.get_write_buffer_size():
            self.abort()
            return False
        self._asked = False
        return True

    def abort(self) -> None:
        """Close the connection at once."""
        self._spoiled = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None and not self._lost:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        """Tell whether a request can be sent."""
        return not self._spoiled and self._alive() is not None

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self._asked or self._complete:
            # Nobody asked: whatever this is, it must not become the answer to the next request.
            self.abort()
            return
        self.received = True
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail("garbage", f"the answer is not HTTP ({error})")
            return
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail("garbage", f"the head of the answer is longer than {MAX_HEAD_BYTES} bytes")
        elif self._quiet > MAX_QUIET_BYTES:
            self._fail("garbage", f"more than {MAX_QUIET_BYTES} bytes of the answer are no body")
        elif (
            self._buffered > HIGH_WATER_BYTES and not (self._paused or self._complete) and (transport := self._alive())
        ):
            self._paused = True
            transport.pause_reading()
        if self._has_head:
            self._wake()

    def eof_received(self) -> bool:
        """See asyncio.Protocol."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._lost = True
        del self._parser  # it refers to us
        if self._asked and not self._complete:
            if self._until_close and exc is None and not self._spoiled:
                self._complete = True
            else:
                self._fail("closed", f"the connection was closed {self._place()}")
        self._wake()

    # -- what the parser calls

    def on_message_begin(self) -> None:
        """See httptools."""
        if self._complete:
            self._spoiled = True
        self._interim = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Trailers are dropped."""
        if self._has_head:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text
        if len(self.headers) > MAX_HEADERS:
            self._fail("garbage", f"the answer has more than {MAX_HEADERS} headers")

    def on_headers_complete(self) -> None:
        """See httptools."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True
            self.headers = {}
            if status == 101:
                self._fail("garbage", "the backend changed the protocol")
            return
        self.status = status
        encoding = self.headers.get("transfer-encoding")
        if encoding is not None and encoding.strip().lower() != "chunked":
            self._fail("garbage", "the answer has a transfer encoding other than chunked")
            return
        self._until_close = encoding is None and "content-length" not in self.headers and status not in (204, 304)
        self._has_head = True
        self._quiet = 0

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if not self._complete:
            self._parts.append(body)
            self._buffered += len(body)
            self._quiet = 0

    def on_message_complete(self) -> None:
        """See httptools."""
        if not self._interim:
            self._complete = True
            self._reusable = self._parser.should_keep_alive() and not self._until_close

    # -- within

    def _alive(self) -> asyncio.Transport | None:
        """Return the transport if it can still be used: uvloop's raises once it is closing."""
        transport = self._transport
        return None if transport is None or self._lost or transport.is_closing() else transport

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: Failure, message: str) -> None:
        if self._failed is None and not self._complete:
            self._failed = CallFailed(failure, message)
        self.abort()
        self._wake()

    def _expire(self) -> None:
        self._timer = None
        self._fail("timeout", f"the time was up {self._place()}")

    def _place(self) -> str:
        if self._has_head:
            return "within the answer"
        return "within the head of the answer" if self.received else "before the answer"
