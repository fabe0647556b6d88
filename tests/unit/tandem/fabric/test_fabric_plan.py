"""Who does what in each step, and what the judge is given of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tandem.fabric import plan, schedule

SETTINGS: dict[str, Any] = {
    "latency_sizes_bytes": [2],
    "latency_iterations": 100,
    "bandwidth_sizes_bytes": [65536],
    "bandwidth_iterations": 100,
    "tcp_latency_sizes_bytes": [64, 512],
    "tcp_latency_iterations": 50,
    "tcp_bandwidth_sizes_bytes": [131072],
    "tcp_bandwidth_duration_sec": 1,
    "run_timeout_sec": 4,
    "connect_timeout_sec": 2,
    "control_port": 18515,
    "tcp_control_port": 5201,
    "roce_latency_typical_max_usec": 15,
    "roce_latency_p99_max_usec": 50,
    "roce_bandwidth_min_percent": 80,
    "tcp_latency_typical_max_usec": 150,
    "tcp_latency_p99_max_usec": 1000,
    "tcp_bandwidth_min_percent": 40,
    "flow_control_required": True,
    "pcie_must_be_full": True,
    "regression_warn_percent": 15,
    "regression_fail_percent": 30,
    "accept_risk": [],
    "baseline_reset": False,
}


def link(name: str, transport: str, *nodes: str, net: int = 100) -> dict[str, Any]:
    ends = {
        node: {"interface": f"eth-{name}", "address": f"192.168.{net}.{number}/24"}
        for number, node in enumerate(nodes, start=1)
    }
    return {"name": name, "mtu_bytes": 9000, "transport": transport, "ends": ends}


def device(address: str, interface: str, **changes: Any) -> dict[str, Any]:
    port = {
        "port": 1,
        "state": "ACTIVE",
        "link_layer": "Ethernet",
        "max_mtu_bytes": 4096,
        "active_mtu_bytes": 4096,
        "rate_gbit_per_s": 100.0,
        "netdev": interface,
        "gids": [{"index": 3, "gid": f"::ffff:{address}", "type": "RoCE v2", "netdev": interface}],
        "roce_v2_ipv4_gid_index": 3,
    }
    return {"name": f"dev-{interface}", "vendor_id": "0x8086", "pcie": None, "ports": [port | changes]}


def interface(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "exists": True,
        "operational_state": "up",
        "carrier": True,
        "mtu_bytes": 9000,
        "speed_gbit_per_s": 10.0,
        "driver": "ice",
        "pause": {"autonegotiate": False, "rx": True, "tx": True, "negotiated_rx": None, "negotiated_tx": None},
        "pcie": None,
    }


def observe(links: list[dict[str, Any]], *nodes: str) -> dict[str, Any]:
    """Return what a good node would show."""
    observed = {}
    for node in nodes:
        own = [entry for entry in links if node in entry["ends"]]
        names = [entry["ends"][node]["interface"] for entry in own]
        devices = [
            device(entry["ends"][node]["address"].split("/")[0], entry["ends"][node]["interface"])
            for entry in own
            if entry["transport"] == "roce"
        ]
        observed[node] = {
            "ends": plan.ends_of(
                links,
                node,
                {"interfaces": names},
                {"interfaces": [interface(name) for name in names]},
                {"devices": devices},
            ),
            "pings": [],
            "stored": [],
            "started": 100.0,
            "ready": 102.5,
        }
    return observed


def measured(step: dict[str, Any]) -> dict[str, Any]:
    latency = {f"latency_{name}_usec": 5.0 for name in ("min", "max", "typical", "avg", "stdev", "p99", "p999")}
    bandwidth = {"bandwidth_peak_gbit_per_s": 9.5, "bandwidth_avg_gbit_per_s": 9.4, "message_rate_mpps": None}
    values = latency if step["test"].endswith("_lat") else bandwidth
    row = {"message_size_bytes": step["message_size_bytes"], "iterations": step.get("iterations")} | values
    return {"results": [row], "settings": {}, "command": [], "duration_s": 1.0, "changed": False}


def test_both_ends_of_a_run_are_in_the_same_step_and_nobody_is_in_two() -> None:
    links = [link("a", "roce", "n1", "n2", "n3", "n4"), link("b", "tcp", "n1", "n3", "n5", net=101)]
    nodes = ["n1", "n2", "n3", "n4", "n5"]
    observed, rounds = observe(links, *nodes), schedule.rounds(links, nodes)
    steps = {node: plan.steps(rounds, observed, SETTINGS, node) for node in nodes}
    assert len({len(own) for own in steps.values()}) == 1
    runs = set()
    for together in zip(*steps.values(), strict=True):
        ends: dict[tuple[Any, ...], set[tuple[str, bool]]] = {}
        for node, step in zip(nodes, together, strict=True):
            if step:
                name = (step["pair"], step["client"], step["server"], step["test"], step["message_size_bytes"])
                ends.setdefault(name, set()).add((node, step["is_client"]))
        for name, members in ends.items():
            assert members == {(name[1], True), (name[2], False)}
            assert name not in runs
        runs |= ends.keys()
    # Six pairs with two runs each way, three pairs with three.
    assert len(runs) == 6 * 2 * 2 + 3 * 2 * 3


def test_a_step_has_what_the_modules_take() -> None:
    links = [link("a", "roce", "n1", "n2")]
    observed, rounds = observe(links, "n1", "n2"), schedule.rounds(links, ["n1", "n2"])
    client, server = (plan.steps(rounds, observed, SETTINGS, node)[0] for node in ("n1", "n2"))
    assert client is not None
    assert server is not None
    assert client == server | {"is_client": True, "own_address": "192.168.100.1"}
    assert (client["server_address"], client["device"], client["port"], client["gid_index"]) == (
        "192.168.100.2",
        "dev-eth-a",
        1,
        3,
    )
    assert (client["test"], client["message_size_bytes"], client["iterations"]) == ("send_lat", 2, 100)


def test_a_pinned_gid_is_used_and_a_missing_device_measures_nothing() -> None:
    links = [link("a", "roce", "n1", "n2")]
    observed, rounds = observe(links, "n1", "n2"), schedule.rounds(links, ["n1", "n2"])
    observed["n1"]["ends"]["a"]["gid_index_pinned"] = 7
    step = plan.steps(rounds, observed, SETTINGS, "n1")[0]
    assert step is not None
    assert step["gid_index"] == 7
    observed["n2"]["ends"] = plan.ends_of(
        links, "n2", {"interfaces": ["eth-a"]}, {"interfaces": [interface("eth-a")]}, {"devices": []}
    )
    assert set(plan.steps(rounds, observed, SETTINGS, "n1")) == {None}
    (verdict,) = plan.verdicts(rounds, observed, SETTINGS, {}, "2026-11-24T10:00:00Z")
    assert verdict["cause"]["code"] == "no_device"


def test_a_tool_that_could_not_be_asked_is_told() -> None:
    links = [link("a", "roce", "n1", "n2"), link("b", "tcp", "n1", "n2", net=101)]
    failed = {"msg": "ibv_devinfo is not installed", "error_kind": "missing_tool"}
    ends = plan.ends_of(links, "n1", {"interfaces": ["eth-a", "eth-b"]}, {"failed": False}, failed, pinned=1)
    assert (ends["a"]["rdma_error"], ends["a"]["rdma_error_kind"]) == ("ibv_devinfo is not installed", "missing_tool")
    assert (ends["b"]["rdma_error"], ends["b"]["gid_index_pinned"], ends["b"]["interface"]) == (None, None, None)


@pytest.mark.parametrize(
    ("result", "is_client", "lost"),
    [
        ({"results": []}, True, False),
        ({"error_kind": "timeout", "msg": "x"}, True, True),
        ({"msg": "the module broke", "failed": True}, True, True),
        # A server may miss a client that measured all the same.
        ({"error_kind": "timeout", "msg": "x"}, False, False),
    ],
)
def test_a_direction_is_given_up_when_its_client_measured_nothing(
    result: dict[str, Any], is_client: bool, lost: bool
) -> None:
    assert plan.is_lost(result, {"is_client": is_client}) is lost


@pytest.mark.parametrize("transport", ["roce", "tcp"])
def test_what_both_ends_measured_becomes_one_verdict(transport: str) -> None:
    links = [link("a", transport, "n1", "n2")]
    observed, rounds = observe(links, "n1", "n2"), schedule.rounds(links, ["n1", "n2"])
    for node in ("n1", "n2"):
        observed[node]["pings"] = [
            {"item": ping, "rc": 0, "stdout": "3 packets transmitted, 3 received, 0% packet loss", "stderr": ""}
            for ping in plan.pings_of(rounds[0][0], node, 84)
        ]
    results = {
        node: [
            {"step": step, "result": measured(step) if step["is_client"] else {"results": []}, "ended": 110.0 + number}
            for number, step in enumerate(plan.steps(rounds, observed, SETTINGS, node))
            if step
        ]
        for node in ("n1", "n2")
    }
    (verdict,) = plan.verdicts(rounds, observed, SETTINGS, results, "2026-11-24T10:00:00Z")
    assert (verdict["verdict"], verdict["causes"]) == ("pass", []), verdict["causes"]
    runs = len(results["n1"])
    assert len(verdict["series"]) == runs
    # Looking took 2.5 s, the first run began 1 s before it ended.
    assert verdict["duration_s"] == 2.5 + 1.0 + runs - 1

    file = {"content": base64.b64encode(json.dumps(verdict).encode()).decode()}
    observed["n2"]["stored"] = [{"content": "damaged"}, {"content": base64.b64encode(b"[]").decode()}, file]
    (again,) = plan.verdicts(rounds, observed, SETTINGS, results, "2026-11-25T10:00:00Z")
    assert again["baseline"] == verdict["baseline"]
    assert "regression" in {check["name"] for check in again["checks"]}


def test_an_accepted_risk_is_found_for_its_pair() -> None:
    links = [link("a", "tcp", "n1", "n2")]
    rounds = schedule.rounds(links, ["n1", "n2"])
    accepted = SETTINGS | {"accept_risk": [{"nodes": ["n2", "n1"], "reason": "a test"}]}
    (verdict,) = plan.verdicts(rounds, {}, accepted, {}, "2026-11-24T10:00:00Z")
    assert (verdict["verdict"], verdict["serving_allowed"]) == ("fail", True)
    assert verdict["accepted_risk"] == {"reason": "a test"}


@pytest.mark.parametrize(
    ("end", "name"),
    [({"interface": "gone0"}, "gone0"), ({"mac_address": "02:00:00:00:00:01"}, "with MAC address 02:00:00:00:00:01")],
)
def test_a_card_that_is_gone_is_the_cause_of_a_verdict(end: dict[str, str], name: str) -> None:
    links = [link("a", "tcp", "n1", "n2"), link("b", "tcp", "n1", "n3", net=101)]
    links[0]["ends"]["n1"] = end | {"address": "192.168.100.1/24"}
    facts = {"interfaces": ["eth-a", "eth-b"]}
    healthy = {"exists": True, "operational_state": "up", "carrier": True, "mtu_bytes": 9000}
    observed = {
        node: {
            "ends": plan.ends_of(
                links, node, facts, {"interfaces": [{"name": n, **healthy} for n in facts["interfaces"]]}, {}
            )
        }
        for node in ("n1", "n2", "n3")
    }

    rounds = schedule.rounds(links, ["n1", "n2", "n3"])
    found = {verdict["link"]: verdict for verdict in plan.verdicts(rounds, observed, SETTINGS, {}, "now")}

    assert observed["n1"]["ends"]["a"]["interface"] == {"name": name, "exists": False}
    assert found["a"]["cause"]["code"] == "link_down"
    assert f"n1: there is no interface {name} for a" in found["a"]["cause"]["message"]
    assert observed["n1"]["ends"]["b"]["interface"]["exists"]
