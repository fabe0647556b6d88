"""Ask a router what it lets through: readiness, models, keys, hidden paths, and a token of each model.

A router that answers the right key proves little by itself: it must also refuse the wrong one, and hide what engines
answer beside /v1.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..vllm.endpoint import explain_status, parse_models, read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..vllm.endpoint import Client, Reply

#: Not there, or not allowed. A server that would do what they say answers 200.
HIDDEN_STATUSES = (403, 404)
HIDDEN_PATHS = ("/pause", "/update_weights", "/invocations")
WRONG_KEY = "wrong-key-of-a-check"
#: VERIFY_X509_PARTIAL_CHAIN, which Python 3.9 has no name for: the certificate itself may be what is trusted.
PARTIAL_CHAIN = 0x80000


@dataclass
class Front:
    """What one round of questions found."""

    ready: bool = False
    reason: str = ""
    models: list[str] = field(default_factory=list)
    statuses: dict[str, int | None] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Clients:
    """The same router as different callers see it. ``wrong`` is None where no key is asked for."""

    front: Client
    wrong: Client | None
    ready: Client
    ready_path: str = "/ready"


def trust(certificate_path: str) -> ssl.SSLContext:
    """Return a context that trusts the router's own certificate, whatever name it is for: we know where we ask."""
    context = ssl.create_default_context(cafile=certificate_path)
    context.check_hostname = False
    context.verify_flags |= PARTIAL_CHAIN
    return context


def examine(clients: Clients, models: Sequence[str]) -> Front:
    """Ask everything once, stopping at the first answer that is not as it must be."""
    found = Front()
    found.reason = (
        _check_ready(clients, found)
        or _check_key(clients, found)
        or _check_hidden(clients, found)
        or _check_models(clients, models, found)
        or _check_answers(clients, models, found)
    )
    found.ready = not found.reason
    return found


def _check_ready(clients: Clients, found: Front) -> str:
    return _expect(found, "ready", clients.ready.ask(clients.ready_path))


def _check_key(clients: Clients, found: Front) -> str:
    if clients.wrong is None:
        return ""
    reply = clients.wrong.ask("/v1/models")
    found.statuses["wrong key"] = reply.status
    return "" if reply.status == 401 else f"a wrong key was answered with {_words(reply)} instead of 401"


def _check_hidden(clients: Clients, found: Front) -> str:
    for path in HIDDEN_PATHS:
        reply = clients.front.ask(path, {})
        found.statuses[path] = reply.status
        if reply.status not in HIDDEN_STATUSES:
            return f"{path} was answered with {_words(reply)}; the router must hide it"
    return ""


def _check_models(clients: Clients, models: Sequence[str], found: Front) -> str:
    reply = clients.front.ask("/v1/models")
    fault = _expect(found, "models", reply)
    if fault:
        return fault
    listed = parse_models(reply)
    if listed is None:
        return "models: 200 but not a list of models"
    found.models = listed
    missing = [model for model in models if model not in listed]
    return f"models: {', '.join(missing)} not listed; listed: {', '.join(listed) or 'none'}" if missing else ""


def _check_answers(clients: Clients, models: Sequence[str], found: Front) -> str:
    for model in models:
        question = {"model": model, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}
        reply = clients.front.ask("/v1/chat/completions", question)
        found.answers[model] = {"status": reply.status, "latency_ms": reply.latency_ms}
        fault = explain_status(f"completion of {model}", reply)
        if fault:
            return fault
        if not _is_chat(reply):
            return f"completion of {model}: 200 but no chat completion: {reply.body[:120].decode(errors='replace')!r}"
    return ""


def _expect(found: Front, question: str, reply: Reply) -> str:
    found.statuses[question] = reply.status
    return explain_status(question, reply)


def _words(reply: Reply) -> str:
    return f"status {reply.status} ({read_error(reply)})" if reply.status is not None else reply.failure


def _is_chat(reply: Reply) -> bool:
    document = reply.document()
    try:
        return isinstance(document["choices"][0]["message"], dict)
    except (KeyError, IndexError, TypeError):
        return False


def examine_until_ready(
    ask: Callable[[], Front],
    wait_s: float,
    given_up: Callable[[], str],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Front:
    """Examine again until all is as it must be, the time is over, or the unit has failed for good."""
    deadline = clock() + wait_s
    while True:
        found = ask()
        if not found.ready and (reason := given_up()):
            found.reason = reason
            return found
        if found.ready or clock() + 1 > deadline:
            return found
        sleep(1)
