"""Ask Ray's global control store for its nodes; runs inside the Python that has Ray.

The module sends the source of this file to that interpreter's standard input, so it must stay one file that
imports only the standard library (and Ray, late). It speaks to the control store itself: neither the dashboard nor a
Ray driver is needed, and no worker process is started. One JSON document goes to standard output, logs go to
standard error.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POLL_INTERVAL_S = 1.0


def find_shortfalls(
    nodes: Sequence[Mapping[str, Any]], expected_nodes: Sequence[str], resources_per_node: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Compare nodes with what is expected and return one entry per missing node or resource.

    A node that was restarted appears twice under one address, once dead and once alive: the living entry counts.
    """
    alive = {node["address"]: node for node in nodes if node["alive"]}
    shortfalls: list[dict[str, Any]] = []
    for address in expected_nodes or sorted(alive):
        node = alive.get(address)
        if node is None:
            dead = any(other["address"] == address for other in nodes)
            shortfalls.append({"address": address, "kind": "node_dead" if dead else "node_absent"})
            continue
        for resource, wanted in sorted(resources_per_node.items()):
            found = node["resources"].get(resource, 0)
            if found < wanted:
                shortfalls.append(
                    {"address": address, "kind": "resource", "resource": resource, "found": found, "wanted": wanted}
                )
    return shortfalls


def describe_node(info: Any, available: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Turn Ray's GcsNodeInfo message into plain values."""
    node_id = info.node_id.hex()
    alive = info.state == 0  # GcsNodeInfo.GcsNodeState: ALIVE = 0, DEAD = 1
    return {
        "node_id": node_id,
        "address": info.node_manager_address,
        "hostname": info.node_manager_hostname,
        "alive": alive,
        "is_head": info.is_head_node,
        "resources": dict(info.resources_total) if alive else {},
        "resources_available": available.get(node_id, {}) if alive else {},
        "labels": dict(info.labels),
        "death_reason": "" if alive else info.death_info.reason_message,
    }


def read_nodes(address: str, timeout_s: float) -> dict[str, Any]:
    """Read all nodes of the cluster whose control store is at host:port."""
    import ray  # type: ignore[import-not-found]
    from ray._raylet import GcsClient  # type: ignore[import-not-found]
    from ray.core.generated import autoscaler_pb2  # type: ignore[import-not-found]

    client = GcsClient(address=address)
    infos = client.get_all_node_info(timeout=timeout_s)
    state = autoscaler_pb2.GetClusterResourceStateReply.FromString(
        client.get_cluster_resource_state(timeout_s=timeout_s)
    )
    available = {
        node.node_id.hex(): dict(node.available_resources) for node in state.cluster_resource_state.node_states
    }
    nodes = [describe_node(info, available) for info in infos.values()]
    return {
        "ray_version": ray.__version__,
        "nodes": sorted(nodes, key=lambda node: (node["address"], not node["alive"])),
    }


def fail(kind: str, error: Exception) -> dict[str, Any]:
    """Return the answer that stands for a failure."""
    return {"error": {"kind": kind, "message": str(error)}}


def try_read_nodes(address: str, timeout_s: float) -> dict[str, Any]:
    """Read the nodes, or say what kind of failure prevented it."""
    host, port = address.rsplit(":", 1)
    try:
        # Ray's own client waits 40 s for a port where nothing listens.
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s).close()
    except ConnectionRefusedError as error:
        return fail("refused", error)
    except OSError as error:
        return fail("unreachable", error)
    try:
        from ray.exceptions import AuthenticationError, RayError  # type: ignore[import-not-found]
    except ImportError as error:
        return fail("no_ray", error)
    try:
        return read_nodes(address, timeout_s)
    except AuthenticationError as error:
        return fail("token", error)
    except RayError as error:
        return fail("rpc", error)


def main(request: dict[str, Any]) -> None:
    """Poll until nothing is missing or the time is over, then print the last answer."""
    deadline = time.monotonic() + request["wait_s"]
    while True:
        answer = try_read_nodes(request["address"], request["timeout_s"])
        final = answer.get("error", {}).get("kind") in ("no_ray", "token")
        complete = "nodes" in answer and not find_shortfalls(
            answer["nodes"], request["expected_nodes"], request["resources_per_node"]
        )
        if complete or final or time.monotonic() + POLL_INTERVAL_S > deadline:
            break
        time.sleep(POLL_INTERVAL_S)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
