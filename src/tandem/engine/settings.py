"""The files of one rank, computed from the inventory: pure functions, no input or output.

Source of the option names: ``vllm serve --help=all`` of vLLM 0.32. vLLM reads them from the YAML file given with
``--config``, where a flag ``--max-model-len`` is the key ``max-model-len``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Engine keys that are vLLM options of the same meaning: written only if the inventory sets them.
OPTIONS = (
    "dtype",
    "gpu_memory_utilization",
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "enable_prefix_caching",
    "enforce_eager",
    "kv_cache_memory_bytes",
    "kv_cache_dtype",
)


#: What the unit of a rank runs that Ray starts: nothing. It still checks the weights and ties the node to the group.
PLACEHOLDER = ("/usr/bin/sleep", "infinity")

#: What vLLM may take to end after its last request.
TEARDOWN_SEC = 20


@dataclass(frozen=True)
class Ports:
    """Ports on the link that the ranks of one engine agree on."""

    group: int
    master: int


def engines_on(engines: Sequence[Mapping[str, Any]], node: str) -> list[Mapping[str, Any]]:
    """Return the engines that have a rank on ``node``."""
    return [engine for engine in engines if node in engine["nodes"]]


def engine_names_on(node: str, engines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the engines that have a rank on ``node``."""
    return [engine["name"] for engine in engines_on(engines, node)]


def serve_settings(
    engine: Mapping[str, Any],
    node: str,
    *,
    addresses: Mapping[str, str],
    model_directory: str,
    ports: Ports,
    drain_timeout_sec: int,
) -> dict[str, Any]:
    """Content of ``serve.yaml``, which ``vllm serve --config`` reads on ``node``.

    Args:
        engine: one entry of ``vllm_engine_engines``.
        node: a node that runs a unit of the engine.
        addresses: address on the link of every node of the engine.
        model_directory: where the verified weights lie on the node.
        ports: what the ranks agreed on.
        drain_timeout_sec: how long requests that are under way may take when the engine is asked to stop; 0 for vLLM
            before 0.18, which ends them at once.

    Returns:
        Keys in the order in which a reader wants them: what is served, where, how it is split, limits, extras.

    """
    nodes = list(engine["nodes"])
    executor = engine.get("executor", "ray")
    rank = nodes.index(node)
    settings: dict[str, Any] = {"model": model_directory, "served-model-name": [engine["served_model_name"]]}
    if rank == 0:
        settings |= {
            "host": engine.get("listen_address", "127.0.0.1"),
            "port": engine["port"],
            # The supervisor asks these every few seconds.
            "disable-access-log-for-endpoints": "/health,/metrics",
        }
        if drain_timeout_sec:
            settings["shutdown-timeout"] = drain_timeout_sec
    settings |= {
        "tensor-parallel-size": engine.get("tensor_parallel_size", 1),
        "pipeline-parallel-size": engine.get("pipeline_parallel_size", 1),
    }
    if executor == "ray":
        # Written on every node, read by the leader alone: it starts the other ranks through Ray.
        settings["distributed-executor-backend"] = "ray"
    elif len(nodes) > 1:
        settings |= {
            "distributed-executor-backend": "mp",
            "nnodes": len(nodes),
            "node-rank": rank,
            "master-addr": addresses[nodes[0]],
            "master-port": ports.master,
        }
        if rank > 0:
            settings["headless"] = True
    settings |= {option.replace("_", "-"): engine[option] for option in OPTIONS if engine.get(option) is not None}
    return settings | dict(engine.get("extra_arguments") or {})


def rank_settings(
    engine: Mapping[str, Any],
    node: str,
    *,
    addresses: Mapping[str, str],
    command: Sequence[str],
    ports: Ports,
    supervision: Mapping[str, int],
    weights: Mapping[str, str],
    fabric: Mapping[str, str],
    drain_timeout_sec: int,
) -> dict[str, Any]:
    """Content of ``rank.json``, which ``tandem rank serve`` reads on ``node`` (see ``tandem.rank.config``).

    Args:
        engine: one entry of ``vllm_engine_engines``.
        node: a node that runs a unit of the engine.
        addresses: address on the link of every node of the engine.
        command: what the supervisor starts.
        ports: what the ranks agreed on.
        supervision: seconds between and for probes and heartbeats, keyed as the role's variables are.
        weights: ``directory`` and ``manifest`` of the model on the node.
        fabric: ``directory`` of the fabric gate's verdicts on the node, and the ``link`` of the ranks. Engines of one
            node need no fabric.
        drain_timeout_sec: as in serve.yaml. Rank 0, which has the requests, gets that much longer to end.

    """
    nodes = list(engine["nodes"])
    rank = nodes.index(node)
    if rank > 0 and engine.get("executor", "ray") == "ray":
        command = PLACEHOLDER
    listen = engine.get("listen_address", "127.0.0.1")
    api = {
        # A wildcard is not an address that one can call.
        "address": "127.0.0.1" if listen in ("0.0.0.0", "::") else listen,  # noqa: S104 - compared, not bound
        "port": engine["port"],
        "model": engine["served_model_name"],
    }
    stop = {"stop_grace_sec": drain_timeout_sec + TEARDOWN_SEC} if rank == 0 and drain_timeout_sec else {}
    document = {
        "engine": engine["name"],
        "rank": rank,
        "ranks": [{"node": name, "address": addresses[name]} for name in nodes],
        "command": list(command),
        "api": api if rank == 0 else None,
        "group": {
            "port": ports.group,
            "heartbeat_interval_sec": supervision["heartbeat_interval_sec"],
            "heartbeat_timeout_sec": supervision["heartbeat_timeout_sec"],
        },
        "probe": {
            "interval_sec": supervision["probe_interval_sec"],
            "timeout_sec": supervision["probe_timeout_sec"],
            "stall_timeout_sec": supervision["stall_timeout_sec"],
            "start_timeout_sec": supervision["start_timeout_sec"],
        },
        "weights": dict(weights),
    }
    return document | stop | ({"fabric": dict(fabric)} if len(nodes) > 1 else {})
