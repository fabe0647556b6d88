"""One streamed chat completion over an open connection to an OpenAI-compatible server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator

from tandem.errors import TandemError


def answer_parts(lines: Iterable[bytes]) -> Iterator[str]:
    """Yield the pieces of text in a stream of server-sent events.

    Raises:
        TandemError: where the server reports an error inside the stream or ends it too early.

    """
    for line in lines:
        field, _, value = line.decode().strip().partition(": ")
        if field != "data":
            continue
        if value == "[DONE]":
            return
        event = json.loads(value)
        if "error" in event:
            raise TandemError(f"the engine broke off: {event['error'].get('message', event['error'])}")
        for choice in event.get("choices", []):
            if text := choice["delta"].get("content"):
                yield text
    raise TandemError("the engine closed the connection before the answer was complete")


def ask(connection: http.client.HTTPConnection, *, key: str, model: str, prompt: str, max_tokens: int) -> Iterator[str]:
    """Ask one question, greedily (temperature 0), and yield the answer as it comes.

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
            f"{model}: the engine answered {response.status}: {response.read(2000).decode(errors='replace')}"
        )
    yield from answer_parts(response)
