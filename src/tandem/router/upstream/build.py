"""The upstream side of a configuration."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from tandem.router.config.values import FromEnvironment
from tandem.router.upstream.backends import Backend, Group
from tandem.router.upstream.client import HttpUpstream
from tandem.router.upstream.observer import Silent
from tandem.router.upstream.pool import Pool

if TYPE_CHECKING:
    from tandem.router.config.providers import BackendRef, Model
    from tandem.router.config.settings import Config
    from tandem.router.upstream.keys import Keys
    from tandem.router.upstream.observer import Observer

CONNECT_TIMEOUT_SEC = 5.0


def build_upstream(
    config: Config, keys: Keys, *, observer: Observer | None = None, tls: ssl.SSLContext | None = None
) -> HttpUpstream:
    """Return the models of the configuration. Raises TandemError for a key that is missing.

    Args:
        config: The whole configuration.
        keys: Where keys are found.
        observer: Is told of attempts.
        tls: How backends prove who they are, where the system's certificates are not the right ones.

    """
    if tls is None and any(
        ref.address.scheme == "https" for model in config.providers.models for ref in model.backend_refs
    ):
        tls = ssl.create_default_context()
        tls.set_alpn_protocols(["http/1.1"])
    groups = {
        model.name: Group(
            model.name,
            model.provider_model_id or model.name,
            [_backend(ref, keys, tls) for ref in model.backend_refs],
            model.reliability,
        )
        for model in config.providers.models
    }
    return HttpUpstream(
        groups,
        observer or Silent(),
        max_answer_bytes=config.general.integrations.looper.max_response_bytes_mb << 20,
        measured=[model.name for model in config.providers.models if _is_measured(model, config)],
    )


def _backend(ref: BackendRef, keys: Keys, tls: ssl.SSLContext | None) -> Backend:
    address = ref.address
    port = address.port or 80
    host = f"[{address.host}]" if ":" in address.host else address.host
    usual = port == (443 if address.scheme == "https" else 80)
    headers = {"host": host if usual else f"{host}:{port}"}
    if ref.key:
        headers[ref.auth_header] = f"{ref.auth_prefix} {keys.text(ref.key)}".strip()
    for name, value in ref.extra_headers.items():
        headers[name] = keys.text(value) if isinstance(value, FromEnvironment) else value
    return Backend(
        name=ref.name or f"{host}:{port}",
        pool=Pool(
            address.host,
            port,
            tls=tls if address.scheme == "https" else None,
            connect_timeout_sec=CONNECT_TIMEOUT_SEC,
            server_name=address.host,
        ),
        head="".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1"),
        own=frozenset(name.lower() for name in headers),
        prefix=address.path or None,
        weight=ref.weight,
    )


def _is_measured(model: Model, config: Config) -> bool:
    """Tell whether a limit of some decision needs the load of a model's engines."""
    limits = [
        (decision.panel, decision.annotations.tandem)
        for decision in config.routing.decisions
        if decision.fusion is not None
    ]
    return any(
        model.name in panel and (limit.max_waiting_requests is not None or limit.max_kv_cache_usage is not None)
        for panel, limit in limits
    )
