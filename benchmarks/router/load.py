"""The clients: so many connections, each asks again as soon as it has its answer. Prints a JSON document."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import cast

import httptools
import uvloop

PATIENCE_SEC = 20.0

_MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Say in a few sentences what a router in front of language models is for. " * 4},
]


def request(port: int, *, stream: bool) -> bytes:
    """Return the request of a client."""
    body = json.dumps({"model": "stub", "messages": _MESSAGES, "stream": stream, "max_tokens": 64}).encode()
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\nuser-agent: OpenAI/Python\r\nauthorization: Bearer sk-benchmark\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


class Counts:
    """What came of one phase."""

    def __init__(self) -> None:
        self.first_sec: list[float] = []
        self.whole_sec: list[float] = []
        self.answers = self.failed = 0
        self.counting = False


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, question: bytes, counts: Counts) -> None:
        self._question, self._counts = question, counts
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._asked = self._first = 0.0
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """See asyncio.Protocol."""
        self._counts.failed += self._counts.counting

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:  # noqa: ARG002 - httptools'
        """See httptools."""
        if not self._first:
            self._first = time.perf_counter()

    def on_message_complete(self) -> None:
        """See httptools."""
        now, counts = time.perf_counter(), self._counts
        if counts.counting:
            if self._parser.get_status_code() != 200:
                counts.failed += 1
            else:
                counts.answers += 1
            if self._counted:
                counts.first_sec.append(self._first - self._asked)
                counts.whole_sec.append(now - self._asked)
        self._ask()

    def _ask(self) -> None:
        if self._transport is not None:
            self._counted = self._counts.counting  # the latency of what began while warming up is left out
            self._first, self._asked = 0.0, time.perf_counter()
            self._transport.write(self._question)

    def close(self) -> None:
        """End."""
        if self._transport is not None:
            self._transport.abort()


async def load(port: int, connections: int, seconds: float, *, stream: bool) -> dict[str, float]:
    """Return latencies in milliseconds, and answers that came within the time."""
    loop, counts, question = asyncio.get_running_loop(), Counts(), request(port, stream=stream)
    clients = [
        (await loop.create_connection(lambda: Client(question, counts), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(min(1.0, seconds / 2))
    counts.counting = True
    print("begin", flush=True)
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    while counts.answers < max(3, connections) and time.perf_counter() - begun < seconds + PATIENCE_SEC:
        await asyncio.sleep(0.1)  # a slow router needs longer to show anything
    counts.counting, taken_sec = False, time.perf_counter() - begun
    print("end", flush=True)
    for client in clients:
        client.close()
    return {
        "answers": counts.answers,
        "failed": counts.failed,
        "seconds": taken_sec,
        **_percentiles("first", counts.first_sec),
        **_percentiles("whole", counts.whole_sec),
    }


def _percentiles(what: str, seconds: list[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100)
    return {f"{what}_p50_ms": cuts[49] * 1000, f"{what}_p99_ms": cuts[98] * 1000}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    found = uvloop.run(load(int(arguments[0]), int(arguments[1]), float(arguments[2]), stream=arguments[3] == "stream"))
    print(json.dumps(found))
