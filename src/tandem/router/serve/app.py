"""The application: which paths there are, who may use them, and what becomes of a request."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from tandem.router.calls import CallFailed, Refused
from tandem.router.fusion.recursion import refuse_recursion
from tandem.router.serve import catalog, messages
from tandem.router.serve.answers import Answers, Job
from tandem.router.serve.connection import Limits, too_large
from tandem.router.serve.messages import Outcome

if TYPE_CHECKING:
    from tandem.router.calls import Fuse, Routing, Upstream
    from tandem.router.config.settings import Config
    from tandem.router.serve.clients import ClientKeys
    from tandem.router.serve.log import Log
    from tandem.router.serve.messages import Reply, Request
    from tandem.router.serve.metrics import Metrics

#: All paths there are. Whatever else an engine has (`/pause`, `/update_weights`, `/invocations`) cannot be reached.
_MODEL_PATHS = {"/v1/chat/completions": "POST", "/v1/completions": "POST", "/v1/models": "GET"}
_OWN_PATHS = {"/health": "GET", "/ready": "GET", "/metrics": "GET"}
#: Open to everybody who can connect, as probes have no keys. They tell nothing but names of models.
_WITHOUT_KEY = ("/health", "/ready")
_GRACE_SEC = 0.25
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server is told beside the configuration."""

    config: Config
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class App:
    """The parts, put together. `entrance` makes what a listener hands its requests to."""

    settings: Settings
    upstream: Upstream
    routing: Routing
    answers: Answers
    metrics: Metrics
    log: Log

    def entrance(self, keys: ClientKeys, timeout_sec: float, *, admin: bool = False) -> Entrance:
        """Return the application of one listener; with `admin` it has no models, and needs no keys."""
        return Entrance(self, keys, timeout_sec, dict(_OWN_PATHS) if admin else _MODEL_PATHS | _OWN_PATHS)


def create_app(
    settings: Settings, *, upstream: Upstream, routing: Routing, fuse: Fuse, metrics: Metrics, log: Log
) -> App:
    """Return the application of its parts."""
    return App(settings, upstream, routing, Answers(upstream, fuse), metrics, log)


class Entrance:
    """One listener's application."""

    def __init__(self, app: App, keys: ClientKeys, timeout_sec: float, paths: dict[str, str]) -> None:
        self._app, self._keys, self._timeout_sec, self._paths = app, keys, timeout_sec, paths
        self._decode = msgspec.json.Decoder().decode

    def admit(self, request: Request) -> Refused | None:
        """See Application."""
        refused = self._admit(request)
        if refused is not None:
            self._app.metrics.refused(refused.code)
            fields = {
                "client": request.peer,
                "path": request.path[:200],
                "status": refused.status,
                "code": refused.code,
            }
            self._app.log.event("refused", fields)
        return refused

    def _admit(self, request: Request) -> Refused | None:
        method = self._paths.get(request.path)
        if method is None:
            return Refused(404, "not_found", "There is no such path here.")
        if request.method not in (method, "HEAD" if method == "GET" else method):
            return Refused(405, "method_not_allowed", f"{request.path} takes {method}.")
        if self._keys and request.path not in _WITHOUT_KEY:
            request.key_name = self._keys.name_of(request.headers)
            if request.key_name is None:
                return Refused(401, "invalid_api_key", "The API key is missing or not known.")
        return self._admit_body(request) if method == "POST" else None

    def _admit_body(self, request: Request) -> Refused | None:
        headers, limits = request.headers, self._app.settings.limits
        length = headers.get("content-length", "0")
        if len(length) > 15 or int(length) > limits.max_request_bytes:
            return too_large(limits)
        kind = headers.get("content-type", "application/json").split(";", 1)[0].strip().lower()
        if kind != "application/json":
            return Refused(415, "unsupported_media_type", "The body must be application/json.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            return Refused(415, "unsupported_media_type", "The body must not be compressed.")
        return None

    async def handle(self, request: Request, reply: Reply) -> None:
        """See Application."""
        if request.path not in _MODEL_PATHS or request.method != "POST":
            await self._show(request, reply)
            return
        given, now = request.headers.get("x-request-id", ""), asyncio.get_running_loop().time()
        identity = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        job = Job(request, reply, Outcome(), {}, identity, time.perf_counter(), now + self._timeout_sec)
        self._app.metrics.active.inc()
        try:
            # The call ends first, and can say more; this is for what waits on the client, or on routing.
            async with asyncio.timeout_at(job.deadline + _GRACE_SEC):
                await self._answer(job)
        except TimeoutError:
            job.outcome.failure = "timeout"
            refused = Refused(504, "timeout", f"The answer took more than {self._timeout_sec:g} seconds.")
            await self._app.answers.refuse(refused, reply, job.outcome)
        except asyncio.CancelledError:
            job.outcome.failure = "client_closed"
            job.outcome.status = job.outcome.status or 499  # as nginx notes it; nobody is there to read it
            raise
        finally:
            self._app.metrics.active.dec()
            self._note(job)

    async def _answer(self, job: Job) -> None:
        answers = self._app.answers
        try:
            refuse_recursion(job.request.headers)
            job.body = self._body(job.request)
            job.request.body = b""
            model = job.body.get("model")
            job.outcome.more["asked"] = model[:200] if isinstance(model, str) else None
            route = await self._app.routing.route(job.body, job.request.path)
            if route.decision is not None and route.decision.fusion is not None:
                await answers.fuse(route, job)
            else:
                await answers.forward(route, job)
        except CallFailed as failure:
            job.outcome.failure = failure.failure
            await answers.refuse(messages.refusal(failure), job.reply, job.outcome)
        except Refused as refused:
            job.outcome.failure = refused.code
            if refused.record is not None:
                job.outcome.more["fusion"] = refused.record
            await answers.refuse(refused, job.reply, job.outcome)

    def _body(self, request: Request) -> dict[str, object]:
        if not request.body:
            raise Refused(400, "invalid_json", "The body is empty; send a JSON object.")
        try:
            body = self._decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise Refused(400, "invalid_json", f"The body is not JSON: {reason}.") from None
        if not isinstance(body, dict):
            raise Refused(400, "invalid_json", "The body must be a JSON object.")
        return body

    async def _show(self, request: Request, reply: Reply) -> None:
        status, kind = 200, "application/json"
        config, upstream = self._app.settings.config, self._app.upstream
        if request.path == "/v1/models":
            body = messages.encode(catalog.models(config))
        elif request.path == "/metrics" and config.general.services.observability.metrics.enabled:
            kind, body = "text/plain; version=0.0.4; charset=utf-8", self._app.metrics.show()
        elif request.path == "/metrics":
            status, body = 404, messages.encode(messages.error_body(Refused(404, "not_found", "Metrics are off.")))
        elif request.path == "/ready":
            missing = catalog.missing(config, upstream.can_serve)
            status = 503 if missing else 200
            body = messages.encode({"status": "waiting" if missing else "ready", "missing": missing})
        else:
            body = b'{"status":"alive"}'
        reply.send(status, [("content-type", kind)], body)

    def _note(self, job: Job) -> None:
        request, outcome, seconds = job.request, job.outcome, time.perf_counter() - job.begun
        self._app.metrics.answered(request.path, outcome, seconds)
        self._app.log.event(
            "request",
            {
                "id": job.identity,
                "client": request.peer,
                "key": request.key_name,
                "path": request.path,
                "status": outcome.status,
                "model": outcome.model,
                "decision": outcome.decision,
                "algorithm": outcome.algorithm,
                "backend": outcome.backend,
                "failure": outcome.failure,
                "seconds": round(seconds, 6),
                "first_byte_seconds": outcome.first_byte_sec and round(outcome.first_byte_sec, 6),
                "bytes": outcome.sent_bytes,
                **outcome.more,
            },
        )
