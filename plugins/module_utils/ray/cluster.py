"""Read a Ray cluster through the Python that has Ray, and say in words what is missing.

The shared token is only ever named by its path: Ray reads the file itself.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..process import CommandError, CommandResult, CommandTimeout, run_command
from . import probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IMPORT_ALLOWANCE_S = 30.0
"""Importing Ray takes 3 s on an idle node and much longer on one that loads a model."""


@dataclass(frozen=True)
class Request:
    """What to ask and what to expect."""

    python: str
    address: str
    token_path: str | None
    expected_nodes: Sequence[str]
    resources_per_node: Mapping[str, float]
    timeout_s: float
    wait_s: float


class ClusterError(Exception):
    """The cluster could not be read; the message is meant for a person."""


def check_token_file(path: str | None) -> None:
    """Refuse a missing or empty token file, on which Ray's client would abort with a stack trace."""
    if path is None:
        return
    try:
        size_bytes = Path(path).stat().st_size
    except OSError as error:
        raise ClusterError(f"token_path: cannot read {path}: {error.strerror}") from None
    if size_bytes == 0:
        raise ClusterError(f"token_path: {path} is empty")


def run_probe(request: Request) -> CommandResult:
    """Run the probe with the Python of the Ray runtime."""
    environment = {"RAY_USAGE_STATS_ENABLED": "0"}
    if request.token_path is not None:
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": request.token_path}
    arguments = json.dumps(
        {
            "address": request.address,
            "timeout_s": request.timeout_s,
            "wait_s": request.wait_s,
            "expected_nodes": list(request.expected_nodes),
            "resources_per_node": dict(request.resources_per_node),
        }
    )
    return run_command(
        [request.python, "-I", "-", arguments],
        timeout_s=request.wait_s + 2 * request.timeout_s + IMPORT_ALLOWANCE_S,
        stdin=inspect.getsource(probe),
        environment=environment,
    )


def parse_answer(result: CommandResult, request: Request) -> dict[str, Any]:
    """Return the probe's document, or raise with the cause and the remedy."""
    try:
        answer = json.loads(result.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last_words = " / ".join(result.stderr.strip().splitlines()[-3:]) or "no output"
        raise ClusterError(
            f"{request.python} ended with status {result.returncode} and without an answer about Ray at "
            f"{request.address}: {last_words}"
        ) from None
    if not isinstance(answer, dict):
        raise ClusterError(f"{request.python} answered {answer!r} instead of a description of Ray at {request.address}")
    if "error" in answer:
        raise ClusterError(explain_error(answer["error"]["kind"], answer["error"]["message"], request))
    return answer


def explain_error(kind: str, message: str, request: Request) -> str:
    """Turn a failure of the probe into a sentence."""
    address = request.address
    if kind == "refused":
        return f"nothing listens at {address}: the Ray head is not running; check `systemctl status tandem-ray` there"
    if kind == "unreachable":
        return f"{address} cannot be reached: {message}; check the link and the firewall between this node and the head"
    if kind == "token" and request.token_path is None:
        return f"token refused by Ray at {address}: the cluster wants one and token_path was not given"
    if kind == "token":
        return f"token refused by Ray at {address}: {request.token_path} on this node differs from the head's token"
    if kind == "no_ray":
        return f"python: {request.python} cannot import Ray: {message}"
    return f"Ray at {address} did not answer: {' '.join(message.split())[:300]}"


def describe_shortfalls(nodes: Sequence[Mapping[str, Any]], request: Request) -> list[str]:
    """Say for every missing node and resource what was found and where to look."""
    found = probe.find_shortfalls(nodes, request.expected_nodes, request.resources_per_node)
    alive = {node["address"] for node in nodes if node["alive"]}
    count = f"{len(alive & set(request.expected_nodes))} of {len(request.expected_nodes)} nodes alive"
    reasons = {node["address"]: node["death_reason"] for node in nodes if not node["alive"]}
    sentences = []
    for item in found:
        address = item["address"]
        if item["kind"] == "resource":
            sentences.append(
                f"node {address} offers {item['resource']} {item['found']:g} of {item['wanted']:g}; "
                "check the resources given to `ray start` there"
            )
            continue
        event = "has not joined" if item["kind"] == "node_absent" else f"has left ({reasons[address]})"
        sentences.append(
            f"node {address} {event} Ray at {request.address}: {count}; check `systemctl status tandem-ray` there"
        )
    return sentences


def sum_resources(nodes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Add up the resources of the living nodes, leaving out the per-node markers."""
    totals: dict[str, float] = {}
    for node in nodes:
        for name, amount in node["resources"].items():
            if not name.startswith("node:"):
                totals[name] = totals.get(name, 0) + amount
    return totals


def read_cluster(request: Request) -> dict[str, Any]:
    """Return nodes, totals, the version of Ray and the list of shortfalls."""
    check_token_file(request.token_path)
    try:
        answer = parse_answer(run_probe(request), request)
    except CommandTimeout:
        raise ClusterError(
            f"Ray at {request.address} accepted a connection but did not answer within "
            f"{request.wait_s + request.timeout_s:g} s; check `systemctl status tandem-ray` there"
        ) from None
    except CommandError as error:
        raise ClusterError(f"python: {error}") from None
    nodes = answer["nodes"]
    return {
        "ray_version": answer["ray_version"],
        "nodes": nodes,
        "alive_count": sum(node["alive"] for node in nodes),
        "totals": sum_resources(nodes),
        "shortfalls": describe_shortfalls(nodes, request),
    }
