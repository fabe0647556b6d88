"""Envoy's configuration as upstream's tool writes it, made fit to stand in front.

``vllm-sr config envoy`` (0.4.0) opens Envoy's administration to every address, passes every path on to a model's
engine, and copies ``${NAME}`` for keys as it stands, in the middle of a file that Envoy prints as a whole when it
cannot read it. Here the first two are put right, and the code that compares keys becomes a file of its own, where the
service puts them in as it starts (put_keys.py).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: All that clients may ask for; vLLM's /pause, /update_weights and others are not among them.
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/models")
#: Where the credentials of the unit are inside its container.
CREDENTIALS = "/run/tandem-credentials"
#: Where Envoy finds the code with the keys.
CODE = "/run/tandem-router/keys.lua"
CLIENTS = "clients"
_TYPES = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"


def guard(text: str, *, tls: bool) -> tuple[dict[str, Any], str]:
    """Return the configuration with a list of allowed paths, a local administration and TLS for clients where wanted.

    Beside it is the code that compares keys, with their names in place of them; empty where no key is asked for.
    """
    document = yaml.safe_load(text)
    try:
        document["admin"]["address"]["socket_address"]["address"] = "127.0.0.1"
        for listener in document["static_resources"]["listeners"]:
            _guard_listener(listener, tls=tls and listener["name"] == CLIENTS)
    except (KeyError, TypeError) as error:
        raise TandemError(
            f"vllm-sr config envoy: found a configuration without {error}; install vllm-sr 0.4.0, whose form is known"
        ) from error
    code = [_take_code(listener) for listener in document["static_resources"]["listeners"]]
    if "${" in json.dumps(document):
        raise TandemError(
            "vllm-sr config envoy: found ${...} outside the keys of clients; Envoy would take that text as it stands"
        )
    return dict(document), "\n".join(filter(None, code))


def _take_code(listener: dict[str, Any]) -> str:
    """Take the code out of a listener, and leave the name of its file there."""
    found = ""
    for manager in _managers(listener):
        for http_filter in manager["http_filters"]:
            settings = http_filter["typed_config"]
            if "inline_code" in settings:
                found = settings.pop("inline_code")
                settings["default_source_code"] = {"filename": CODE}
    return found


def _guard_listener(listener: dict[str, Any], *, tls: bool) -> None:
    managers = list(_managers(listener))
    if not managers:
        raise KeyError("an HTTP connection manager")
    for manager in managers:
        # Paths are compared as the backend will read them: /v1/../pause is /pause.
        manager |= {"normalize_path": True, "merge_slashes": True, "path_with_escaped_slashes_action": "REJECT_REQUEST"}
        manager["http_filters"] = [_allowed_paths(), *(f for f in manager["http_filters"] if not _is_empty(f))]
        for log in manager.get("access_log", []):
            # The container's own files cannot be written; the journal keeps what it prints.
            log["typed_config"]["path"] = "/dev/stdout"
    if tls:
        for chain in listener["filter_chains"]:
            chain["transport_socket"] = _tls()


def _managers(listener: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for chain in listener["filter_chains"]:
        for network_filter in chain["filters"]:
            if network_filter["typed_config"]["@type"] == _MANAGER:
                yield network_filter["typed_config"]


def _is_empty(http_filter: dict[str, Any]) -> bool:
    """Whether a filter is the one that upstream writes without any code."""
    return str(http_filter["typed_config"]["@type"]).endswith(".LuaPerRoute")


def _allowed_paths() -> dict[str, Any]:
    permissions = [{"url_path": {"path": {"exact": path}}} for path in PATHS]
    policy = {"permissions": permissions, "principals": [{"any": True}]}
    rules = {"action": "ALLOW", "policies": {"paths": policy}}
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {"@type": f"{_TYPES}.filters.http.rbac.v3.RBAC", "rules": rules},
    }


def _tls() -> dict[str, Any]:
    certificate = {
        "certificate_chain": {"filename": f"{CREDENTIALS}/tls.crt"},
        "private_key": {"filename": f"{CREDENTIALS}/tls.key"},
    }
    context = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificates": [certificate],
        "alpn_protocols": ["h2", "http/1.1"],
    }
    kind = f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": kind, "common_tls_context": context},
    }
