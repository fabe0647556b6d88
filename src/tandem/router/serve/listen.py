"""Listeners: sockets, TLS, and how they end."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.errors import TandemError
from tandem.router.serve.connection import ClientConnection, Clients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tandem.router.serve.connection import Application

_BACKLOG = 2048
_SWEEP_SEC = 0.5
_STOP_POLL_SEC = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where one listener listens, and what answers there."""

    name: str
    address: str
    port: int
    application: Application
    tls: ssl.SSLContext | None = None


class Listeners:
    """All listeners of the router."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._servers: list[asyncio.Server] = []
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self, places: Sequence[Place]) -> None:
        """Listen. Raises TandemError where that is not possible."""
        self._sweeping = asyncio.create_task(self._sweep())
        for place in places:
            try:
                self._servers.append(await _listen(place, self._clients))
            except OSError as error:
                await self.close(0)
                where = f"{place.address} port {place.port}"
                reason = error.strerror or error
                raise TandemError(
                    f"listener {place.name} cannot listen on {where} ({reason}); choose another"
                ) from None

    @property
    def ports(self) -> list[int]:
        """Return the ports, also those that the kernel chose."""
        return [int(sock.getsockname()[1]) for server in self._servers for sock in server.sockets]

    async def close(self, patience_sec: float) -> bool:
        """Take no more connections, let requests end, and cut off what is left; tell whether nothing was."""
        loop = asyncio.get_running_loop()
        for server in self._servers:
            server.close()
        self._clients.stop()
        until = loop.time() + patience_sec
        while self._clients.connections and loop.time() < until:
            await asyncio.sleep(_STOP_POLL_SEC)
        clean = not self._clients.connections
        self._clients.abort()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await asyncio.gather(*(server.wait_closed() for server in self._servers))
        self._servers = []
        return clean

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SEC)
            self._clients.sweep(loop.time())


async def _listen(place: Place, clients: Clients) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: ClientConnection(clients, place.application, loop),
        place.address,
        place.port,
        ssl=place.tls,
        backlog=_BACKLOG,
        reuse_address=True,
        ssl_handshake_timeout=10.0 if place.tls else None,
        ssl_shutdown_timeout=5.0 if place.tls else None,
    )


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return how we prove who we are. Raises TandemError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Read the certificate (again). Raises TandemError, and leaves the context as it was."""
    try:
        # A context that has taken a certificate and not its key can greet nobody any more, so another one tries first.
        # A key with a password would be asked for at a terminal, with all requests waiting; it is refused.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or error
        raise TandemError(f"the certificate {certificate} with the key {key} cannot be used ({reason})") from None
