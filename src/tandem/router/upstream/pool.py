"""Connections to one backend that are kept for the next request."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

from tandem.router.calls import CallFailed
from tandem.router.upstream.connection import Connection

if TYPE_CHECKING:
    import ssl

#: Below the 5 seconds after which vLLM's server closes an idle connection: a request rarely meets a closing one.
MAX_IDLE_SEC = 4.0
MAX_IDLE_CONNECTIONS = 512


class Pool:
    """Opens connections and keeps the idle ones, the latest used first."""

    def __init__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None, connect_timeout_sec: float, server_name: str | None
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._server_name = server_name if tls is not None else None
        self._connect_timeout_sec = connect_timeout_sec
        self._idle: deque[Connection] = deque()
        self._closed = False
        #: Whether the latest attempt to connect succeeded.
        self.reachable: bool | None = None

    def reuse(self, now: float) -> Connection | None:
        """Return an idle connection that is fresh enough."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and now - connection.idle_since < MAX_IDLE_SEC:
                return connection
            connection.abort()
        return None

    async def connect(self, deadline: float) -> Connection:
        """Return a new connection. Raises CallFailed."""
        loop = asyncio.get_running_loop()
        until = min(deadline, loop.time() + self._connect_timeout_sec)
        try:
            async with asyncio.timeout_at(until):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop), self._host, self._port, ssl=self._tls, server_hostname=self._server_name
                )
        except TimeoutError:
            self.reachable = False
            raise CallFailed("connect", "no connection in time") from None
        except OSError as error:  # TLS errors are among them
            self.reachable = False
            raise CallFailed("connect", f"no connection ({error.strerror or error})") from None
        self.reachable = True
        return connection

    async def probe(self, timeout_sec: float) -> None:
        """Find out whether a connection can be made."""
        with contextlib.suppress(CallFailed):
            (await self.connect(asyncio.get_running_loop().time() + timeout_sec)).abort()

    def give_back(self, connection: Connection, now: float) -> None:
        """Keep a connection whose request has ended, if it can be used again."""
        if not connection.leave():
            return
        if self._closed or len(self._idle) >= MAX_IDLE_CONNECTIONS:
            connection.abort()
            return
        connection.idle_since = now
        self._idle.append(connection)

    def sweep(self, now: float) -> None:
        """Close connections that nobody has used for a while."""
        while self._idle and now - self._idle[0].idle_since >= MAX_IDLE_SEC:
            self._idle.popleft().abort()

    def close(self) -> None:
        """Close the idle connections, and those that come back."""
        self._closed = True
        while self._idle:
            self._idle.popleft().abort()

    @property
    def idle(self) -> int:
        """Return how many connections are kept."""
        return len(self._idle)
