"""What is wrong with the variables of role ``model_router``, before a node changes."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from tandem.front.backends import reach, shared_address
from tandem.front.config import OWN_MODEL_KEYS
from tandem.front.keys import KEY, NAME, Key, keys_of
from tandem.inventory.problems import Problem, find_duplicates, join_words, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tandem.inventory.description import Cluster

#: A digest, or a tag that names a version: whatever else a tag says may be something else tomorrow.
IMAGE = re.compile(r"[^@\s]+(?:@sha256:[0-9a-f]{64}|:v?[0-9]+\.[0-9]+[0-9A-Za-z._-]*)")
IMAGES = ("model_router_vllm_sr_image", "model_router_envoy_image")


def find_router_problems(cluster: Cluster) -> Iterator[Problem]:
    """Check the variables of every router; ``cluster.routers`` has them by host, in the right form."""
    for host, settings in cluster.routers.items():
        if any(value is None for name, value in settings.items() if name in MUST_BE_KNOWN):
            continue  # of the wrong form, which is said elsewhere
        yield from _check_names(settings)
        yield from _check_keys(cluster, settings)
        yield from _check_listener(settings)
        yield from _check_engine(settings)
        yield from _check_models(cluster, settings)
        yield from _check_reach(cluster, host)


MUST_BE_KNOWN = (
    *("model_router_engine", "model_router_listen_address", "model_router_port", "model_router_looper_port"),
    *("model_router_clients", "model_router_client_keys", "model_router_upstream_keys", "model_router_timeout_sec"),
    *("model_router_cloud_backends", "model_router_models", "model_router_routing", "model_router_global"),
)


def _check_names(settings: Mapping[str, Any]) -> Iterator[Problem]:
    named = [("model_router_clients", str(name)) for name in settings["model_router_clients"]]
    named += [
        (f"model_router_cloud_backends[{cloud['name']}].key", str(cloud["key"]))
        for cloud in settings["model_router_cloud_backends"]
        if cloud.get("key")
    ]
    for place, name in named:
        if not NAME.fullmatch(name):
            yield Problem(place, f"found {name!r}", "begin with a letter, go on with letters, digits, dots, dashes")
    for name in find_duplicates([str(name) for name in settings["model_router_clients"]]):
        yield Problem("model_router_clients", f"{name} is named twice", "name each client once")


def _check_keys(cluster: Cluster, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Check given keys without ever showing one."""
    by_variable: dict[str, Key] = {}
    for key in dict.fromkeys(keys_of(settings, _engines(cluster))):
        other = by_variable.setdefault(key.variable, key)
        if other != key:
            found = f"{other.name} and {key.name} would share the file {key.variable}"
            yield Problem(
                "model_router_clients" if key.kind == "CLIENT" else "model_router", found, "rename one of them"
            )
    known = {"model_router_client_keys": [str(name) for name in settings["model_router_clients"]]}
    known["model_router_upstream_keys"] = [
        str(c["key"]) for c in settings["model_router_cloud_backends"] if c.get("key")
    ]
    for place, names in known.items():
        values = settings[place]
        for name, value in values.items():
            if str(name) not in names:
                yield Problem(f"{place}.{name}", "belongs to nobody", suggest(str(name), names))
            elif not KEY.fullmatch(str(value)):
                remedy = "give 16 to 512 characters of letters, digits and ._~+/=-"
                yield Problem(f"{place}.{name}", "found what cannot be a key", remedy)
    clients = [str(value) for value in settings["model_router_client_keys"].values()]
    if len(set(clients)) < len(clients):
        yield Problem("model_router_client_keys", "two clients have the same key", "give each a key of its own")


def _check_listener(settings: Mapping[str, Any]) -> Iterator[Problem]:
    text = settings["model_router_listen_address"]
    certificate, key = settings.get("model_router_tls_certificate"), settings.get("model_router_tls_key")
    if bool(certificate) != bool(key):
        missing = "model_router_tls_key" if certificate else "model_router_tls_certificate"
        yield Problem(missing, "is missing", "give both a certificate and its key, or neither")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        yield Problem("model_router_listen_address", f"found {text!r}", "give an IP address, such as 127.0.0.1")
        return
    lacking = [
        word
        for word, has in (("TLS", certificate and key), ("client keys", settings["model_router_clients"]))
        if not has
    ]
    if not address.is_loopback and lacking and settings.get("model_router_accept_open_listener") is not True:
        yield Problem(
            "model_router_listen_address",
            f"found {text} without {' and '.join(lacking)}",
            "keep 127.0.0.1, or set model_router_tls_certificate, model_router_tls_key and model_router_clients; if "
            "something else guards the port, set model_router_accept_open_listener: true",
        )


def _check_engine(settings: Mapping[str, Any]) -> Iterator[Problem]:
    for name in IMAGES:
        image = settings.get(name)
        if settings["model_router_engine"] != "vllm_sr":
            if image:
                yield Problem(name, "has no effect with model_router_engine: embedded", "remove it, or set vllm_sr")
        elif not image:
            yield Problem(name, "is missing", "model_router_engine: vllm_sr needs an image, by digest or version")
        elif not IMAGE.fullmatch(str(image)):
            yield Problem(name, f"found {image!r}", "pin it by digest (name@sha256:<64 hex>) or version (name:v0.4.0)")


def _check_models(cluster: Cluster, settings: Mapping[str, Any]) -> Iterator[Problem]:
    clouds = settings["model_router_cloud_backends"]
    names = [str(engine["served_model_name"]) for engine in _engines(cluster)] + [
        str(cloud["name"]) for cloud in clouds
    ]
    if not names:
        yield Problem(
            "group router", "has a node, but there is no model to route to", "add an engine or a cloud backend"
        )
    for name, own in settings["model_router_models"].items():
        place = f"model_router_models.{name}"
        if name not in names:
            yield Problem(place, "is served by nobody", suggest(str(name), names))
        for key in own if isinstance(own, dict) else []:
            if key not in OWN_MODEL_KEYS:
                yield Problem(f"{place}.{key}", "is an unknown key", suggest(str(key), OWN_MODEL_KEYS))
        if not isinstance(own, dict):
            yield Problem(place, "is no dictionary", f"give {join_words(OWN_MODEL_KEYS)}")
    default = settings.get("model_router_default_model")
    if default and names and default not in names:
        yield Problem("model_router_default_model", f"{default} is served by nobody", suggest(str(default), names))
    served = {str(engine["served_model_name"]) for engine in _engines(cluster)}
    for cloud in clouds:
        if str(cloud["name"]) in served and cloud.get("model") not in (None, "", cloud["name"]):
            found = f"{cloud['name']} is also served by an engine, which does not know it as {cloud['model']}"
            yield Problem(f"model_router_cloud_backends[{cloud['name']}].model", found, "give the cloud another name")


def _check_reach(cluster: Cluster, host: str) -> Iterator[Problem]:
    for engine in _engines(cluster):
        leader, listening = engine["nodes"][0], engine["listen_address"]
        try:
            if reach(engine, host, cluster.links, cluster.link):
                continue
        except ValueError:
            continue  # no address, which is said elsewhere
        meeting = shared_address(leader, host, cluster.links, cluster.link)
        variable = f"vllm_engine_engines[{engine['name']}].listen_address"
        found = f"{listening} on {leader} is out of reach for the router on {host}"
        if meeting:
            remedy = (
                f"set it to {meeting}, with vllm_engine_accept_open_listener: true, "
                f"or put {leader} into the group router instead"
            )
        else:
            remedy = f"put {leader} into the group router instead, or give both nodes an end of a link (link_links)"
        yield Problem(variable, found, remedy)


def _engines(cluster: Cluster) -> Sequence[Mapping[str, Any]]:
    return [engine for engine in cluster.engines if engine["nodes"] and engine["served_model_name"] and engine["port"]]
