"""Ask a vLLM endpoint for its health, its models and a completion.

A health of 200 says only that the front process lives: an engine whose ranks hang keeps answering it. Ready therefore
means that a completion came back with at least one token.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

MAX_ANSWER_BYTES = 4 * 1024 * 1024
POLL_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Reply:
    """Answer to one request. ``status`` is None when there was no answer, and ``failure`` then says why."""

    status: int | None
    body: bytes
    latency_ms: float
    failure: str = ""

    def document(self) -> Any:  # noqa: ANN401 (JSON can be anything)
        """Return the body as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Endpoint:
    """What one round of questions found."""

    healthy: bool = False
    health: dict[str, Any] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    completion: dict[str, Any] = field(default_factory=lambda: {"ok": False})
    version: str | None = None
    ready: bool = False
    reason: str = ""


def name_failure(error: Exception, timeout_s: float) -> str:
    """Say why there was no answer."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, (ConnectionError, http.client.HTTPException)):
        return f"connection broken: {cause or type(cause).__name__}"
    return str(cause)


class Client:
    """The HTTP edge: requests to one base address, with a time limit each."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float, trust: ssl.SSLContext | None = None) -> None:
        """Remember where to ask, and whose certificates to trust; a proxy of the environment is never used."""
        self._url = url.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s = timeout_s
        handlers = [urllib.request.HTTPSHandler(context=trust)] if trust else []
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)

    def ask(self, path: str, document: dict[str, Any] | None = None) -> Reply:
        """GET the path, or POST the document to it."""
        headers = dict(self._headers)
        data = None
        if document is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(document).encode()
        request = urllib.request.Request(self._url + path, data=data, headers=headers)  # noqa: S310 (checked by the module)
        started = time.monotonic()
        status: int | None = None
        body, failure = b"", ""
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                status, body = answer.status, answer.read(MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            failure = name_failure(error, self._timeout_s)
        return Reply(status, body, round((time.monotonic() - started) * 1000, 1), failure)


def read_error(reply: Reply) -> str:
    """Return the message of an OpenAI-style error body, or its first characters."""
    document = reply.document()
    error = document.get("error", document) if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or reply.body[:200].decode(errors="replace")).strip()


def explain_status(question: str, reply: Reply) -> str:
    """Say what went wrong with a question; empty if it was answered with 200."""
    if reply.status is None:
        return f"{question}: {reply.failure}"
    if reply.status == 401:
        return f"{question}: 401, the API key was refused or is missing"
    if reply.status == 503:
        return f"{question}: 503, the engine is not able to serve: {read_error(reply)}".rstrip(": ")
    if reply.status != 200:
        return f"{question}: status {reply.status}: {read_error(reply)}".rstrip(": ")
    return ""


def parse_models(reply: Reply) -> list[str] | None:
    """Return the names of the served models, or None if the answer is no such list."""
    document = reply.document()
    try:
        return [str(model["id"]) for model in document["data"]]
    except (KeyError, TypeError):
        return None


def parse_completion(reply: Reply) -> dict[str, Any] | None:
    """Return text, token count and finish reason, or None if the answer is no completion."""
    document = reply.document()
    try:
        choice = document["choices"][0]
        text = choice["text"]
        usage = document.get("usage") or {}
        return {
            "text": str(text),
            "tokens": int(usage.get("completion_tokens", 0)),
            "finish_reason": choice.get("finish_reason"),
        }
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def complete(client: Client, model: str, prompt: str, max_tokens: int) -> tuple[dict[str, Any], str]:
    """Ask for a greedy completion; return what came and why it is not good enough, if so."""
    question = {"model": model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
    reply = client.ask("/v1/completions", question)
    outcome = {"ok": False, "text": "", "tokens": 0, "finish_reason": None, "latency_ms": reply.latency_ms}
    reason = explain_status("completion", reply)
    if reason:
        return outcome, reason
    parsed = parse_completion(reply)
    if parsed is None:
        return outcome, f"completion: 200 but not a completion: {reply.body[:120].decode(errors='replace')!r}"
    outcome |= parsed
    if not parsed["tokens"] and not parsed["text"]:
        return outcome, f"completion: 200 but no token was generated (finish reason {parsed['finish_reason']})"
    return outcome | {"ok": True}, ""


def examine(client: Client, model: str | None, prompt: str, max_tokens: int) -> Endpoint:
    """Ask everything once, stopping at the first question that makes the next one pointless."""
    found = Endpoint()
    health = client.ask("/health")
    found.health = {"status": health.status, "latency_ms": health.latency_ms}
    found.healthy = health.status == 200
    found.reason = explain_status("health", health)
    if health.status is None:
        return found
    version = client.ask("/version").document()
    found.version = version.get("version") if isinstance(version, dict) else None
    listing = client.ask("/v1/models")
    models = parse_models(listing)
    listing_fault = explain_status("models", listing)
    if listing_fault or models is None:
        found.reason = found.reason or listing_fault or "models: 200 but not a list of models"
        return found
    found.models = models
    wanted = model or (models[0] if models else "")
    if wanted not in models:
        served = ", ".join(models) or "none"
        found.reason = f"model {wanted or '(none given)'} is not served; served: {served}"
        return found
    found.completion, fault = complete(client, wanted, prompt, max_tokens)
    found.reason = found.reason or fault
    found.ready = found.healthy and bool(found.completion["ok"])
    return found


def examine_until_ready(
    ask: Callable[[], Endpoint],
    wait_s: float,
    given_up: Callable[[], str] = str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Endpoint:
    """Examine again until the endpoint is ready, the time is over, or asking again cannot help.

    ``given_up`` says why what should serve the endpoint will not, or nothing while it may.
    """
    deadline = clock() + wait_s
    while True:
        found = ask()
        hopeless = ": 401," in found.reason
        if not found.ready and (reason := given_up()):
            found.reason = reason
            return found
        if found.ready or hopeless or clock() + POLL_INTERVAL_S > deadline:
            return found
        sleep(POLL_INTERVAL_S)
