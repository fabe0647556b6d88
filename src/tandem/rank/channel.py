"""A line between two supervisors: both ends prove that they know the group token, which is never sent.

Every message is one line, `<HMAC> <JSON>`, under a key of this connection and direction and a running number, so that
nobody on the link can add, change or replay one. What is said is no secret and is not encrypted.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_LINE_BYTES = 64 * 1024
_PROTOCOL = "tandem-group/1"
_HANDSHAKE_TIMEOUT_SEC = 5.0

Message = dict[str, Any]


class ChannelError(Exception):
    """The connection ended, or what came is not to be trusted; the text says which."""


class RefusedError(ChannelError):
    """The other end answered, and does not want us."""


class Channel:
    """One authenticated connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, send_key: bytes, receive_key: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._send_key = send_key
        self._receive_key = receive_key
        self._sent = 0
        self._received = 0

    def send(self, kind: str, **fields: str | int) -> None:
        """Queue a message; a broken connection shows at `receive`."""
        body = json.dumps({"kind": kind, **fields}).encode()
        self._writer.write(_mac(self._send_key, self._sent, body) + b" " + body + b"\n")
        self._sent += 1

    async def receive(self, timeout_sec: float) -> Message:
        """Return the next message; ChannelError where there is none in time."""
        line = await _read_line(self._reader, timeout_sec)
        mac, _, body = line.partition(b" ")
        if not hmac.compare_digest(mac, _mac(self._receive_key, self._received, body)):
            raise ChannelError("a message was damaged or forged")
        self._received += 1
        return _decode(body)

    async def close(self) -> None:
        """Send what is queued, as far as that takes no time, and close."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.5):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        self.abort()

    def abort(self) -> None:
        """Close at once; the other end sees it, as far as the network carries that."""
        self._writer.transport.abort()


async def accept(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    token: str,
    judge: Callable[[Message], str | None],
) -> tuple[Channel, Message]:
    """Leader's end: return the channel and the follower's claim, once it is proved and `judge` has no objection."""
    own_nonce = secrets.token_hex(32)
    _write_line(writer, {"protocol": _PROTOCOL, "nonce": own_nonce})
    introduction = _decode(await _read_line(reader, _HANDSHAKE_TIMEOUT_SEC))
    claim, nonce = introduction.get("claim"), introduction.get("nonce")
    if not isinstance(claim, dict) or not isinstance(nonce, str):
        raise ChannelError("not a supervisor of this protocol")
    proof = _proof(token, "follower", own_nonce, nonce, claim)
    if not hmac.compare_digest(proof, str(introduction.get("proof")).encode()):
        _write_line(writer, {"refused": "wrong group token", "proof": ""})
        raise RefusedError("wrong group token")
    objection = judge(claim)
    _write_line(writer, {"refused": objection, "proof": _proof(token, "leader", own_nonce, nonce, objection).decode()})
    if objection is not None:
        raise RefusedError(objection)
    to_leader, to_follower = _keys(token, own_nonce, nonce)
    return Channel(reader, writer, send_key=to_follower, receive_key=to_leader), claim


async def introduce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, claim: Message) -> Channel:
    """Follower's end: prove ourselves, demand the same, return the channel."""
    greeting = _decode(await _read_line(reader, _HANDSHAKE_TIMEOUT_SEC))
    if greeting.get("protocol") != _PROTOCOL or not isinstance(greeting.get("nonce"), str):
        raise ChannelError("what answers there is no leader of this protocol")
    nonce, own_nonce = greeting["nonce"], secrets.token_hex(32)
    proof = _proof(token, "follower", nonce, own_nonce, claim).decode()
    _write_line(writer, {"nonce": own_nonce, "claim": claim, "proof": proof})
    verdict = _decode(await _read_line(reader, _HANDSHAKE_TIMEOUT_SEC))
    refused = verdict.get("refused")
    expected = _proof(token, "leader", nonce, own_nonce, refused)
    if not hmac.compare_digest(expected, str(verdict.get("proof")).encode()):
        raise RefusedError("the group token here and there differ")
    if refused is not None:
        raise RefusedError(str(refused))
    to_leader, to_follower = _keys(token, nonce, own_nonce)
    return Channel(reader, writer, send_key=to_leader, receive_key=to_follower)


async def _read_line(reader: asyncio.StreamReader, timeout_sec: float) -> bytes:
    try:
        async with asyncio.timeout(timeout_sec):
            return (await reader.readuntil(b"\n"))[:-1]
    except TimeoutError:
        raise ChannelError(f"nothing heard for {timeout_sec:g} s") from None
    except (asyncio.IncompleteReadError, ConnectionResetError):
        # What was still unread when the other process died decides which of the two the kernel says.
        raise ChannelError("connection closed") from None
    except asyncio.LimitOverrunError:
        raise ChannelError("a line without end") from None
    except OSError as error:
        raise ChannelError(error.strerror or "connection lost") from None


def _write_line(writer: asyncio.StreamWriter, document: Message) -> None:
    writer.write(json.dumps(document).encode() + b"\n")


def _decode(line: bytes) -> Message:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ChannelError("not a supervisor of this protocol")
    return document


def _keys(token: str, leader_nonce: str, follower_nonce: str) -> tuple[bytes, bytes]:
    """Return the keys of this connection: to the leader, to the follower."""
    return (
        _proof(token, "key to leader", leader_nonce, follower_nonce, None),
        _proof(token, "key to follower", leader_nonce, follower_nonce, None),
    )


def _proof(token: str, role: str, leader_nonce: str, follower_nonce: str, content: object) -> bytes:
    # JSON of a list: no two different inputs give the same bytes.
    text = json.dumps([_PROTOCOL, role, leader_nonce, follower_nonce, content], sort_keys=True)
    return hmac.new(token.encode(), text.encode(), "sha256").hexdigest().encode()


def _mac(key: bytes, number: int, body: bytes) -> bytes:
    return hmac.new(key, number.to_bytes(8, "big") + body, "sha256").hexdigest().encode()
