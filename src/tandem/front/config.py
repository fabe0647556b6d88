"""The router's configuration, from the engines and the variables of role ``model_router``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tandem.errors import TandemError
from tandem.front.backends import LOOPBACK, reach
from tandem.front.keys import variable

Settings = Mapping[str, Any]

#: What an engine of vLLM can be asked, and that requests are tried again, which happens before the first byte only.
ENGINE_RELIABILITY = {
    "lb_policy": "least_request",
    "retry_count": 1,
    "consecutive_5xx": 5,
    "health_check_path": "/health",
}
#: Upstream's router wants Redis and more for what is not switched off.
BASE = {
    "router": {"include_config_models_in_list": True},
    "services": {"response_api": {"enabled": False}, "router_replay": {"enabled": False}},
    "stores": {"response_cache": {"enabled": False}},
}
OWN_MODEL_KEYS = ("pricing", "reliability")


def router_config(
    settings: Settings,
    engines: Sequence[Mapping[str, Any]],
    router: str,
    links: Sequence[Mapping[str, Any]],
    link: str | None,
) -> dict[str, Any]:
    """Return the whole file for one router, in upstream's form (version v0.3)."""
    models = _models(settings, engines, router, links, link)
    default = settings.get("model_router_default_model") or (models[0]["name"] if models else None)
    return {
        "version": "v0.3",
        "listeners": _listeners(settings),
        "providers": {"defaults": {"model": default}, "models": models},
        "routing": dict(settings["model_router_routing"]),
        "global": _merge(_merge(BASE, _looper(settings)), settings["model_router_global"]),
    }


def _listeners(settings: Settings) -> list[dict[str, Any]]:
    shared = {"timeout": f"{settings['model_router_timeout_sec']}s"}
    address, port = settings["model_router_listen_address"], settings["model_router_port"]
    clients = {
        "name": "clients",
        "address": address,
        "port": port,
        **shared,
        "api_keys": [f"${{{variable('CLIENT', str(name))}}}" for name in settings["model_router_clients"]],
    }
    if settings["model_router_engine"] != "vllm_sr":
        return [clients]
    # Upstream's router makes the calls of fusion as a client of its own Envoy, and has no key for that.
    return [clients, {"name": "looper", "address": LOOPBACK, "port": settings["model_router_looper_port"], **shared}]


def _looper(settings: Settings) -> dict[str, Any]:
    if settings["model_router_engine"] != "vllm_sr":
        return {}
    endpoint = f"http://{LOOPBACK}:{settings['model_router_looper_port']}/v1/chat/completions"
    return {"integrations": {"looper": {"endpoint": endpoint}}}


def _models(
    settings: Settings,
    engines: Sequence[Mapping[str, Any]],
    router: str,
    links: Sequence[Mapping[str, Any]],
    link: str | None,
) -> list[dict[str, Any]]:
    """Return the models; engines and clouds that serve the same name are backends of one model."""
    models: dict[str, dict[str, Any]] = {}
    for engine in engines:
        name = str(engine["served_model_name"])
        model = models.setdefault(name, {"name": name, "backend_refs": [], "reliability": dict(ENGINE_RELIABILITY)})
        model["backend_refs"].append(_engine_backend(engine, router, links, link))
    for cloud in settings["model_router_cloud_backends"]:
        name = str(cloud["name"])
        model = models.setdefault(name, {"name": name, "backend_refs": []})
        if cloud.get("model"):
            model["provider_model_id"] = cloud["model"]
        model["backend_refs"].append(_cloud_backend(cloud, len(model["backend_refs"])))
    for name, own in settings["model_router_models"].items():
        if name in models:
            models[name] |= {key: value for key, value in own.items() if key in OWN_MODEL_KEYS}
    return list(models.values())


def _engine_backend(
    engine: Mapping[str, Any], router: str, links: Sequence[Mapping[str, Any]], link: str | None
) -> dict[str, Any]:
    address = reach(engine, router, links, link)
    if address is None:
        raise TandemError(
            f"vllm_engine_engines[{engine['name']}].listen_address: out of reach; run playbooks/validate.yml"
        )
    host = f"[{address}]" if ":" in address else address
    return {
        "name": engine["name"],
        "endpoint": f"{host}:{engine['port']}",
        "api_key_env": variable("ENGINE", str(engine["name"])),
    }


def _cloud_backend(cloud: Mapping[str, Any], place: int) -> dict[str, Any]:
    backend = {"name": f"cloud-{place}", "base_url": cloud["base_url"], "provider": cloud["provider"]}
    if cloud["weight"] != 1:
        backend["weight"] = cloud["weight"]
    return backend | ({"api_key_env": variable("UPSTREAM", str(cloud["key"]))} if cloud.get("key") else {})


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, deep; lists are replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both and isinstance(below, Mapping) else value
    return merged
