"""A stream of server-sent events, as engines answer `stream: true`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tandem.router.calls import CallFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


#: An event of an answer is some hundred bytes.
_MAX_EVENT_BYTES = 4 << 20


async def events(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the data of each event, wherever the bytes are cut. Raises CallFailed for more bytes than allowed.

    A last event without the empty line after it is not one: the stream broke off in it.
    """
    rest, data, total, held = b"", [], 0, 0
    async for chunk in chunks:
        total += len(chunk)
        # A CR at the end of a chunk stays in the rest, and is half of a CR LF or goes with its line.
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            text = line.rstrip(b"\r")
            if text.startswith(b"data:"):
                data.append(text[5:].removeprefix(b" "))
                held += len(text)
            elif not text and data:
                yield b"\n".join(data)
                data, held = [], 0
        if total > max_bytes or held + len(rest) > _MAX_EVENT_BYTES:
            raise CallFailed("too_large", f"the stream has more than {min(max_bytes, _MAX_EVENT_BYTES)} bytes")
