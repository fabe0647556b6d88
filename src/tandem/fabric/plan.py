"""What the gate's role does with what it collected: one node's part in each run, and the verdicts of all pairs.

``observed`` has of each node ``ends`` (of each of its links), ``pings`` and ``stored`` (the files of its former
verdicts), and the times ``started`` and ``ready`` between which the ends were looked at, in seconds. ``results`` has of
each node what its runs returned, each with its ``step`` and the time it ``ended``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tandem.errors import TandemError
from tandem.fabric import judge, risk
from tandem.fabric.ends import gid_index, pair_ceiling_gbit_per_s, port_of
from tandem.fabric.outcome import End
from tandem.fabric.settings import measurements
from tandem.links import link_interface, links_of
from tandem.rdma.device import lookup

Node = Mapping[str, Any]
Pair = Mapping[str, Any]
Settings = Mapping[str, Any]


def interfaces_of(links: Sequence[Mapping[str, Any]], host: str, facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``name`` of the interface of each link of this node, and whether it ``exists``.

    A card that is gone is a cause of a verdict, not an error that keeps all verdicts from being made.
    """
    found = {}
    for link in links_of(links, host):
        try:
            found[link["name"]] = {"name": link_interface(links, link["name"], host, facts), "exists": True}
        except TandemError:
            name = link.get("interface") or f"with MAC address {link.get('mac_address')}"
            found[link["name"]] = {"name": str(name), "exists": False}
    return found


def ends_of(
    links: Sequence[Mapping[str, Any]],
    host: str,
    facts: Mapping[str, Any],
    network: Mapping[str, Any],
    rdma: Mapping[str, Any],
    *,
    pinned: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Return this node's end of each of its links, as the judge wants it.

    ``network`` and ``rdma`` are the registered results of network_interface_info and rdma_info.
    """
    interfaces = {entry["name"]: entry for entry in network.get("interfaces") or []}
    known_names = interfaces_of(links, host, facts)
    found = {}
    for link in links_of(links, host):
        named = known_names[link["name"]]
        name = named["name"]
        device, error, kind = None, None, None
        if link["transport"] == "roce":
            if "devices" in rdma:
                known = lookup(rdma["devices"], name)
                device, error = known["device"], known["error"]
            else:
                error, kind = str(rdma.get("msg") or "rdma_info told nothing"), rdma.get("error_kind")
        found[link["name"]] = {
            "interface": interfaces.get(name) if named["exists"] else named,
            "device": device,
            "rdma_error": error,
            "rdma_error_kind": kind,
            "gid_index_pinned": pinned if link["transport"] == "roce" else None,
        }
    return found


def pings_of(pair: Pair, host: str, small_frame_bytes: int) -> list[dict[str, Any]]:
    """Return what this node sends to the other node of a pair: a small frame, and a full one."""
    (peer,) = (node for node in pair["nodes"] if node != host)
    return [
        {
            "link": pair["link"],
            "server": peer,
            "own_address": pair["addresses"][host],
            "address": pair["addresses"][peer],
            "frame_bytes": frame_bytes,
        }
        for frame_bytes in (small_frame_bytes, pair["mtu_bytes"])
    ]


def steps(
    rounds: Sequence[Sequence[Pair]], observed: Mapping[str, Node], settings: Settings, host: str
) -> list[dict[str, Any] | None]:
    """Return what this node does in each step: be one end of a run, or nothing (null).

    Every node has the same number of steps, and both ends of a run have it in the same one: the nodes take the steps
    together. Without a device or a GID at either end there is nothing to run.
    """
    found: list[dict[str, Any] | None] = []
    for planned in rounds:
        runs = {pair["id"]: _runs(pair, observed, settings) for pair in planned}
        own = next((pair for pair in planned if host in pair["nodes"]), None)
        for direction in (0, 1):
            for number in range(max(map(len, runs.values()), default=0)):
                run = runs[own["id"]][number : number + 1] if own else []
                found.append(_step(own, direction, run[0], observed, host) if own and run else None)
    return found


def is_lost(result: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """Return whether what comes after this run in its direction need not be tried: its client measured nothing."""
    return bool(step["is_client"]) and End("", result).state != "ok"


def verdicts(
    rounds: Sequence[Sequence[Pair]],
    observed: Mapping[str, Node],
    settings: Settings,
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    measured_at: str,
) -> list[dict[str, Any]]:
    """Return the verdict of every pair, in the order in which they were measured."""
    return [
        judge.verdict(
            pair,
            {node: _end(pair, observed, node) for node in pair["nodes"]},
            [ping for node in pair["nodes"] for ping in _pings(pair, observed, node)],
            _results(pair, results),
            settings,
            former(pair, observed),
            risk.accept_risk_for(pair, settings.get("accept_risk") or []),
            measured_at,
            _duration_s(pair, observed, results),
        )
        for planned in rounds
        for pair in planned
    ]


def former(pair: Pair, observed: Mapping[str, Node]) -> dict[str, Any] | None:
    """Return the last verdict that a node of the pair has; a file that cannot be read is none."""
    known = [
        document
        for node in pair["nodes"]
        if (document := stored((observed.get(node) or {}).get("stored") or []).get(pair["id"])) is not None
    ]
    return max(known, key=lambda document: str(document.get("measured_at")), default=None)


def stored(files: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the verdicts by their pairs, from what slurp returned."""
    found = {}
    for file in files:
        try:
            document = json.loads(base64.b64decode(str(file.get("content") or ""), validate=True))
        except ValueError:
            continue
        if isinstance(document, dict) and {"id", "nodes", "baseline", "checks"} <= document.keys():
            found[str(document["id"])] = document
    return found


def _runs(pair: Pair, observed: Mapping[str, Node], settings: Settings) -> list[dict[str, Any]]:
    ceiling = pair_ceiling_gbit_per_s({node: _end(pair, observed, node) for node in pair["nodes"]})
    return measurements(settings, pair["transport"], ceiling)


def _step(
    pair: Pair, direction: int, run: Mapping[str, Any], observed: Mapping[str, Node], host: str
) -> dict[str, Any] | None:
    client, server = pair["nodes"][direction], pair["nodes"][1 - direction]
    step = {
        "pair": pair["id"],
        "transport": pair["transport"],
        "client": client,
        "server": server,
        "is_client": host == client,
        "own_address": pair["addresses"][host],
        "server_address": pair["addresses"][server],
        **run,
    }
    if pair["transport"] == "roce":
        devices = {node: _rdma_device(pair, observed, node) for node in pair["nodes"]}
        if None in devices.values():
            return None
        step |= devices[host] or {}
    return step


def _rdma_device(pair: Pair, observed: Mapping[str, Node], node: str) -> dict[str, Any] | None:
    end = _end(pair, observed, node) or {}
    port, index = port_of(end), gid_index(end, pair["addresses"][node])
    if port is None or index is None:
        return None
    return {"device": end["device"]["name"], "port": port["port"], "gid_index": index}


def _end(pair: Pair, observed: Mapping[str, Node], node: str) -> Mapping[str, Any] | None:
    end: Mapping[str, Any] | None = ((observed.get(node) or {}).get("ends") or {}).get(pair["link"])
    return end


def _pings(pair: Pair, observed: Mapping[str, Node], node: str) -> Iterator[dict[str, Any]]:
    """Return what this node sent to the other one of the pair; ``item`` says what each was."""
    for ping in (observed.get(node) or {}).get("pings") or []:
        sent = ping["item"]
        if sent["link"] == pair["link"] and sent["server"] in pair["nodes"] and "rc" in ping:
            yield {
                "client": node,
                "server": sent["server"],
                "frame_bytes": sent["frame_bytes"],
                "rc": ping["rc"],
                "stdout": ping.get("stdout", ""),
                "stderr": ping.get("stderr", ""),
            }


def _results(pair: Pair, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    runs: dict[tuple[Any, ...], dict[str, Any]] = {}
    names = ("client", "server", "test", "message_size_bytes")
    for entry in _entries(pair, results):
        step = entry["step"]
        empty = {name: step[name] for name in names} | {"client_result": None, "server_result": None}
        run = runs.setdefault(tuple(step[name] for name in names), empty)
        run["client_result" if step["is_client"] else "server_result"] = entry["result"]
    return list(runs.values())


def _duration_s(pair: Pair, observed: Mapping[str, Node], results: Mapping[str, Sequence[Mapping[str, Any]]]) -> float:
    """Return how long this pair took: looking at its ends, and from its first run to the end of its last."""
    nodes = [observed.get(node) or {} for node in pair["nodes"]]
    looking = max((float(node["ready"]) - float(node["started"]) for node in nodes if "ready" in node), default=0.0)
    entries = _entries(pair, results)
    if not entries:
        return looking
    begun = min(float(entry["ended"]) - float(entry["result"].get("duration_s") or 0) for entry in entries)
    return looking + max(float(entry["ended"]) for entry in entries) - begun


def _entries(pair: Pair, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    return [entry for node in pair["nodes"] for entry in results.get(node) or [] if entry["step"]["pair"] == pair["id"]]
