"""Requests and answers of HTTP as values: what is parsed, what is refused, in which words."""

from __future__ import annotations

import http
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec

from tandem.router.calls import CallFailed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_REASONS = {status.value: status.phrase for status in http.HTTPStatus}
#: Of one connection, never passed on (RFC 9110, section 7.6.1), as is whatever `Connection` names.
HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
#: Of the client and for us alone: its keys, and what says how this very body is sent. An answer must not be encoded, as
#: fusion reads answers. The prefix `x-vsr-` is the router's own.
_NOT_FORWARDED = HOP_BY_HOP | frozenset(
    [
        "authorization",
        "api-key",
        "x-api-key",
        "cookie",
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "expect",
        "accept-encoding",
        "x-authz-user-id",
        "x-authz-user-groups",
        "http2-settings",
    ]
)
_NOT_RETURNED = HOP_BY_HOP | frozenset(
    ("content-length", "set-cookie", "x-request-id", "server", "alt-svc", "strict-transport-security")
)

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_STATUSES = {
    "busy": 503,
    "connect": 503,
    "timeout": 504,
    "closed": 502,
    "too_large": 502,
    "garbage": 502,
    "status": 502,
}

encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Request:
    """What a client asks. Names of headers are in lower case; the body is empty until it has come."""

    method: str
    path: str
    version: str
    headers: dict[str, str]
    peer: str = ""
    body: bytes = b""
    key_name: str | None = None


class Reply(Protocol):
    """Where the answer to one request goes."""

    @property
    def started(self) -> bool:
        """Tell whether anything was sent."""
        ...

    def send(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Send a whole answer."""
        ...

    def start(self, status: int, headers: Iterable[tuple[str, str]], length: int | None) -> None:
        """Send the head; without a length the end is marked by the transfer."""
        ...

    async def write(self, data: bytes) -> None:
        """Send a part of the body; waits while the client does not read."""
        ...

    def finish(self) -> None:
        """End the body."""
        ...

    def abort(self) -> None:
        """Close the connection, so that the client sees that something is missing."""
        ...


@dataclass(slots=True)
class Outcome:
    """What became of a request: for the log and the metrics."""

    status: int = 0
    model: str | None = None
    decision: str | None = None
    algorithm: str | None = None
    backend: str | None = None
    failure: str | None = None
    sent_bytes: int = 0
    first_byte_sec: float | None = None
    more: dict[str, object] = field(default_factory=dict)


def head(status: int, headers: Iterable[tuple[str, str]], *, keep_alive: bool) -> bytes:
    """Return the head of an answer, ready to be sent."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append("\r\n" if keep_alive else "connection: close\r\n\r\n")
    return "".join(lines).encode("latin-1")


def header_text(value: str) -> str:
    """Return a name of the configuration as it can stand in a header: UTF-8, one character for each byte."""
    return value.encode().decode("latin-1") if not value.isascii() else value


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a client that the backend gets."""
    named = connection_names(headers)
    return {
        name: value
        for name, value in headers.items()
        if name not in _NOT_FORWARDED and name not in named and not name.startswith("x-vsr-")
    }


def returned(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a backend that the client gets."""
    named = connection_names(headers)
    return [
        (name, value)
        for name, value in headers.items()
        if name not in _NOT_RETURNED and name not in named and not name.startswith("x-vsr-")
    ]


def connection_names(headers: Mapping[str, str]) -> frozenset[str]:
    """Return what `Connection` declares to be of this connection alone."""
    value = headers.get("connection")
    if not value or value in ("keep-alive", "close"):
        return frozenset()
    return frozenset(name.strip().lower() for name in value.split(","))


def refusal(failed: CallFailed) -> Refused:
    """Return what a client is told when no model answered."""
    status = _STATUSES[failed.failure]
    retry_after_sec = failed.retry_after_sec or (1.0 if failed.failure in ("busy", "connect") else None)
    return Refused(status, f"upstream_{failed.failure}", str(failed), retry_after_sec=retry_after_sec)


def error_body(refused: Refused) -> dict[str, object]:
    """Return an error in the form of OpenAI's API."""
    kind = _TYPES.get(refused.status) or ("server_error" if refused.status >= 500 else "invalid_request_error")
    return {"error": {"message": str(refused), "type": kind, "param": None, "code": refused.code}}


def error_headers(refused: Refused) -> list[tuple[str, str]]:
    """Return what goes with an error."""
    headers = [("content-type", "application/json")]
    if refused.retry_after_sec is not None:
        headers.append(("retry-after", str(max(1, round(refused.retry_after_sec)))))
    if refused.status == 401:
        headers.append(("www-authenticate", 'Bearer realm="tandem-router"'))
    return headers
