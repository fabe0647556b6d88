"""One streamed chat completion over an open connection to an OpenAI-compatible server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tandem.errors import TandemError

#: Takes the name of something that happened before the answer, and what is known of it.
Hear = Callable[[str, dict[str, Any]], None]


def answer_parts(lines: Iterable[bytes], hear: Hear | None = None) -> Iterator[str]:
    """Yield the pieces of text in a stream of server-sent events.

    Args:
        lines: The stream.
        hear: Told of the router's progress, which comes in comments.

    Raises:
        TandemError: where the server reports an error inside the stream or ends it too early.

    """
    for line in lines:
        field, _, value = line.decode().strip().partition(": ")
        if not field and hear:
            name, _, data = value.partition(" ")
            hear(name, json.loads(data) if data.startswith("{") else {})
        if field != "data":
            continue
        if value == "[DONE]":
            return
        event = json.loads(value)
        if "error" in event:
            raise TandemError(f"the server broke off: {event['error'].get('message', event['error'])}")
        for choice in event.get("choices", []):
            if text := choice["delta"].get("content"):
                yield text
    raise TandemError("the server closed the connection before the answer was complete")


def ask(
    connection: http.client.HTTPConnection,
    *,
    key: str,
    model: str,
    prompt: str,
    max_tokens: int,
    hear: Hear | None = None,
) -> Iterator[str]:
    """Ask one question, greedily (temperature 0), and yield the answer as it comes.

    What the router chose is told to `hear` as `selected`, its progress by its own names.

    Raises:
        TandemError: where the server refuses.

    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
    }
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise TandemError(
            f"{model}: the server answered {response.status}: {response.read(2000).decode(errors='replace')}"
        )
    chosen = {
        name.removeprefix("x-vsr-selected-"): value
        for name, value in ((name.lower(), value) for name, value in response.getheaders())
        if name.startswith("x-vsr-selected-")
    }
    if hear and chosen:
        hear("selected", chosen)
    yield from answer_parts(response, hear)
