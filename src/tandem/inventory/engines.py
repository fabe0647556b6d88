"""Can the engines be placed on the nodes as they are described?"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from tandem.inventory.links import nodes_without
from tandem.inventory.models import config_of, find_shape_problems
from tandem.inventory.problems import Problem, find_duplicates, join_words, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tandem.inventory.description import Cluster

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PINNED_IMAGE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
#: vLLM's --dtype.
DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")


def find_engine_problems(cluster: Cluster) -> Iterator[Problem]:
    """Check every engine by itself, then all of them together."""
    for engine in cluster.engines:
        variable = f"vllm_engine_engines[{engine['name']}]"
        yield from _check_names(cluster, engine, variable)
        yield from _check_nodes(cluster, engine, variable)
        yield from _check_sizes(engine, variable)
        yield from _check_runtime(engine, variable)
        yield from _check_listener(cluster, engine, variable)
        config = config_of(cluster, str(engine["model"]))
        if config is not None:
            yield from find_shape_problems(engine, variable, config)
    for name in find_duplicates([str(engine["name"]) for engine in cluster.engines]):
        yield Problem(f"vllm_engine_engines[{name}]", "is defined twice", "give each engine a name of its own")
    yield from _check_ray(cluster)


def _check_names(cluster: Cluster, engine: Mapping[str, Any], variable: str) -> Iterator[Problem]:
    if engine["name"] and not NAME.fullmatch(engine["name"]):
        yield Problem(
            f"{variable}.name", "is used in the name of a unit", "use letters, digits, dots, dashes, underscores"
        )
    models = [str(model["name"]) for model in cluster.models]
    if engine["model"] and engine["model"] not in models:
        yield Problem(
            f"{variable}.model", f"{engine['model']} is not in model_weights_models", suggest(engine["model"], models)
        )
    if engine["dtype"] and engine["dtype"] not in DTYPES:
        yield Problem(f"{variable}.dtype", f"found {engine['dtype']!r}", f"choose one of {join_words(DTYPES)}")


def _check_nodes(cluster: Cluster, engine: Mapping[str, Any], variable: str) -> Iterator[Problem]:
    nodes = engine["nodes"]
    if nodes is None:
        return
    if not nodes:
        yield Problem(f"{variable}.nodes", "is empty", "name the nodes in rank order")
    for node in find_duplicates(nodes):
        yield Problem(
            f"{variable}.nodes", f"{node} is named twice", "name each node once; gpus_per_node gives it more ranks"
        )
    for node in dict.fromkeys(nodes):
        if node not in cluster.hosts_of("nodes"):
            yield Problem(
                f"{variable}.nodes", f"{node} is not in the group nodes", suggest(node, cluster.hosts_of("nodes"))
            )
        elif node not in cluster.hosts_of("serving"):
            yield Problem(
                f"{variable}.nodes", f"{node} is not in the group serving", "add it there, or use other nodes"
            )
    apart = nodes_without(cluster, nodes) if len(nodes) > 1 else ""
    if apart:
        yield Problem(f"{variable}.nodes", f"{apart} has no end on link {cluster.link} (tandem_link)", "add the end")


def _check_sizes(engine: Mapping[str, Any], variable: str) -> Iterator[Problem]:
    tensor, pipeline, per_node = (
        engine[key] for key in ("tensor_parallel_size", "pipeline_parallel_size", "gpus_per_node")
    )
    if not (tensor and pipeline and per_node and engine["nodes"]):
        return
    ranks = len(set(engine["nodes"])) * per_node
    if tensor * pipeline != ranks:
        yield Problem(
            f"{variable}.tensor_parallel_size",
            f"{tensor} x pipeline_parallel_size {pipeline} makes {tensor * pipeline} ranks, "
            f"but {len(set(engine['nodes']))} nodes with {per_node} each hold {ranks}",
            "make the product equal the number of ranks",
        )


def _check_runtime(engine: Mapping[str, Any], variable: str) -> Iterator[Problem]:
    if engine["runtime"] == "venv" and engine["image"]:
        yield Problem(f"{variable}.image", "has no effect with runtime venv", "remove it, or set runtime: container")
    if engine["runtime"] != "container":
        return
    if not engine["image"]:
        yield Problem(
            f"{variable}.image", "is missing", "runtime container needs an image with its digest (name@sha256:...)"
        )
    elif not PINNED_IMAGE.fullmatch(engine["image"]):
        yield Problem(
            f"{variable}.image", f"found {engine['image']!r}", "pin it by digest (name@sha256:<64 hex>): a tag moves"
        )
    if engine["executor"] == "ray":
        yield Problem(
            f"{variable}.executor",
            "is ray with runtime container",
            "set executor: mp: Ray would have to run inside the same image",
        )


def _check_listener(cluster: Cluster, engine: Mapping[str, Any], variable: str) -> Iterator[Problem]:
    text = engine["listen_address"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        yield Problem(f"{variable}.listen_address", f"found {text!r}", "give an IP address, such as 127.0.0.1")
        return
    if not address.is_loopback and cluster.settings.get("vllm_engine_accept_open_listener") is not True:
        yield Problem(
            f"{variable}.listen_address",
            f"found {text}",
            "keep 127.0.0.1 and put a proxy before it: vLLM's API key guards /v1 only, and anyone who reaches the port "
            "can call /pause, /update_weights, /tokenize; if the port is guarded otherwise, set "
            "vllm_engine_accept_open_listener: true",
        )


def _check_ray(cluster: Cluster) -> Iterator[Problem]:
    engines = cluster.ray_engines()
    if not engines:
        return
    head, members = cluster.ray_head, cluster.hosts_of("ray")
    if head is None:
        names = join_words(engine["name"] for engine in engines)
        yield Problem("ray_head", "is missing", f"name the node of Ray's head: engine {names} has executor ray")
    elif head not in members:
        yield Problem("ray_head", f"{head} is not in the group ray", suggest(head, members))
    elif nodes_without(cluster, [head]):
        yield Problem(
            "ray_head", f"{head} has no end on link {cluster.link} (tandem_link)", "add the end, or move the head"
        )
    for engine in engines:
        for node in engine["nodes"] or []:
            if node not in members and node in cluster.hosts_of("serving"):
                found = f"{node} is not in the group ray"
                yield Problem(
                    f"vllm_engine_engines[{engine['name']}].nodes", found, "add it there: the executor is ray"
                )
    yield from _check_ray_capacity(cluster, engines)


def _check_ray_capacity(cluster: Cluster, engines: list[Mapping[str, Any]]) -> Iterator[Problem]:
    offered = cluster.settings.get("ray_gpus_per_node")
    wanted: dict[str, dict[str, int]] = {}
    for engine in engines:
        for node in dict.fromkeys(engine["nodes"] or []):
            wanted.setdefault(node, {})[engine["name"]] = engine["gpus_per_node"] or 0
    for node, shares in sorted(wanted.items()):
        if offered and sum(shares.values()) > offered:
            listing = join_words(f"{name} {count}" for name, count in shares.items())
            yield Problem(
                "ray_gpus_per_node",
                f"{node} offers {offered}, but its engines want {sum(shares.values())} ({listing})",
                "use fewer engines there, or executor mp: Ray would let the last one wait for ever",
            )
