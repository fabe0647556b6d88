"""HTTP for embeddings: what the server hands in, and the same with the standard library for the command line."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from tandem.router.calls import CallFailed

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fetch(Protocol):
    """Posts, and returns status and body of the answer. Raises CallFailed."""

    async def __call__(
        self, url: str, *, body: bytes, headers: Mapping[str, str], timeout_sec: float, max_bytes: int
    ) -> tuple[int, bytes]:
        """Return the answer within the time, `too_large` if it has more bytes."""
        ...


async def fetch(
    url: str, *, body: bytes, headers: Mapping[str, str], timeout_sec: float, max_bytes: int
) -> tuple[int, bytes]:
    """Post in a thread, with a connection for each request."""
    post = asyncio.to_thread(_post, url, body, dict(headers), timeout_sec, max_bytes)
    try:
        return await asyncio.wait_for(post, timeout_sec)
    except TimeoutError:  # of the whole, or of the socket: whichever noticed first
        raise CallFailed("timeout", f"no answer within {timeout_sec:g} s") from None


def _post(url: str, body: bytes, headers: dict[str, str], timeout_sec: float, max_bytes: int) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, timeout=timeout_sec, context=context)
    else:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout_sec)
    try:
        connection.connect()
    except TimeoutError:
        connection.close()
        raise
    except OSError as error:
        connection.close()
        raise CallFailed("connect", f"no connection ({error})") from None
    try:
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        data = answer.read(max_bytes + 1)
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise CallFailed("closed", f"the connection broke ({error!r})") from None
    finally:
        connection.close()
    if len(data) > max_bytes:
        raise CallFailed("too_large", f"an answer of more than {max_bytes} bytes")
    return answer.status, data
