"""An engine that only answers: as little work as possible, so that what is measured is the router in front of it."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop

#: Pieces of a streamed answer, and how far apart an engine sends them.
PIECES = 32
INTERVAL_SEC = 0.005

_TEXT = "A router adds little to what an engine needs for its answer. " * 4
_WHOLE = (
    '{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"stub","choices":[{"index":0,"message":'
    f'{{"role":"assistant","content":"{_TEXT}"}},"finish_reason":"stop"}}],'
    '"usage":{"prompt_tokens":20,"completion_tokens":60,"total_tokens":80}}'
).encode()
_PIECE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub","choices":[{"index":0,'
    b'"delta":{"content":" token"},"finish_reason":null}]}\n\n'
)
_LAST = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub","choices":[{"index":0,'
    b'"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
_MODELS = b'{"object":"list","data":[{"id":"stub","object":"model","created":1,"owned_by":"stub"}]}'


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_COMPLETION, _LIST = _answer(_WHOLE), _answer(_MODELS)
_FIRST, _NEXT, _END = _STREAM_HEAD + _chunk(_PIECE), _chunk(_PIECE), _chunk(_LAST) + b"0\r\n\r\n"


class Stub(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """See asyncio.Protocol."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._body += body

    def on_message_complete(self) -> None:
        """See httptools."""
        body, self._body = self._body, b""
        if b'"stream":true' in body or b'"stream": true' in body:
            self._put(_FIRST)
            asyncio.get_running_loop().call_later(INTERVAL_SEC, self._go_on, PIECES - 1)
        else:
            self._put(_COMPLETION if body else _LIST)

    def _go_on(self, left: int) -> None:
        self._put(_NEXT if left else _END)
        if left:
            asyncio.get_running_loop().call_later(INTERVAL_SEC, self._go_on, left - 1)

    def _put(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def _main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
