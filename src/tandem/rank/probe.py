"""Ask the engine over HTTP: `/health`, `/metrics` and one token. The edge below `policy`."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tandem.rank.policy import Completion, Health, parse_progress

if TYPE_CHECKING:
    from tandem.rank.config import Api

_QUICK_TIMEOUT_SEC = 5.0
_METRICS_TIMEOUT_SEC = 10.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024


class ProtocolError(Exception):
    """What answered does not speak HTTP."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes


class EngineClient:
    """One engine's interface, asked from the same node."""

    def __init__(self, api: Api, api_key: str) -> None:
        self._model = api.model
        self._host = _reachable(api.address)
        self._port = api.port
        self._api_key = api_key

    async def health(self) -> Health:
        """Ask `/health`."""
        try:
            answer = await self._request("GET", "/health", timeout_sec=_QUICK_TIMEOUT_SEC)
        except ConnectionRefusedError:
            return Health.REFUSED
        except (OSError, ProtocolError):
            return Health.SILENT
        if answer.status == 200:
            return Health.OK
        return Health.UNAVAILABLE if answer.status == 503 else Health.SILENT

    async def counters(self) -> dict[str, float]:
        """Ask `/metrics`; empty where it does not answer."""
        try:
            answer = await self._request("GET", "/metrics", timeout_sec=_METRICS_TIMEOUT_SEC)
        except (OSError, ProtocolError):
            return {}
        return parse_progress(answer.body.decode("utf-8", "replace")) if answer.status == 200 else {}

    async def complete(self, timeout_sec: float) -> Completion:
        """Ask for one token."""
        started = time.monotonic()
        document = {"model": self._model, "prompt": "Hello", "max_tokens": 1, "temperature": 0}
        refused = False
        try:
            answer = await self._request("POST", "/v1/completions", timeout_sec=timeout_sec, document=document)
        except TimeoutError:
            problem = f"no answer in {timeout_sec:g} s"
        except OSError as error:
            problem = error.strerror or type(error).__name__
        except ProtocolError as error:
            problem = str(error)
        else:
            problem = _missing_token(answer)
            refused = answer.status in {400, 401, 403, 404}
        latency_ms = round((time.monotonic() - started) * 1000)
        return Completion(ok=not problem, detail=problem or "one token", latency_ms=latency_ms, refused=refused)

    async def _request(
        self, method: str, path: str, *, timeout_sec: float, document: dict[str, Any] | None = None
    ) -> Answer:
        body = json.dumps(document).encode() if document is not None else b""
        host = f"[{self._host}]" if ":" in self._host else self._host
        # HTTP/1.0, one connection per question: the end of the answer is the end of the stream, never in chunks.
        head = [
            f"{method} {path} HTTP/1.0",
            f"Host: {host}:{self._port}",
            f"Authorization: Bearer {self._api_key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        async with asyncio.timeout(timeout_sec):
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LARGEST_ANSWER_BYTES)
            try:
                writer.write("\r\n".join([*head, "", ""]).encode() + body)
                return await _read_answer(reader)
            finally:
                # Not a graceful close: a probe given up must not wait in the engine's queue.
                writer.transport.abort()


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if "content-length" in headers:
            return Answer(status, await reader.readexactly(int(headers["content-length"])))
        return Answer(status, await reader.read(-1))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ValueError) as error:
        raise ProtocolError("the answer broke off or is not HTTP") from error


def _missing_token(answer: Answer) -> str:
    """Return why this answer holds no token; empty where it does."""
    document: Any = None
    with contextlib.suppress(ValueError):
        document = json.loads(answer.body)
    if answer.status != 200:
        return f"status {answer.status}: {_message(document)}".rstrip(": ")
    try:
        # A first token may well be an empty text (half a character, an end mark): the engine's own count tells.
        counted = document.get("usage", {}).get("completion_tokens", 0)
        if document["choices"][0]["text"] or counted >= 1:
            return ""
    except (AttributeError, LookupError, TypeError):
        return "status 200, but not a completion"
    return "status 200, but no token in it"


def _message(document: Any) -> str:  # noqa: ANN401 -- whatever JSON the engine answered
    with contextlib.suppress(AttributeError, LookupError, TypeError):
        return str(document["error"]["message"] if isinstance(document["error"], dict) else document["error"])[:160]
    return ""


def _reachable(address: str) -> str:
    """Return an address to connect to for one to listen on: every address means loopback too."""
    listening = ipaddress.ip_address(address)
    if not listening.is_unspecified:
        return address
    return "127.0.0.1" if listening.version == 4 else "::1"
