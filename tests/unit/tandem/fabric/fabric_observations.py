"""Observations of a healthy pair as the modules return them, to be spoiled one by one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema

import tandem.fabric
from tandem.fabric.judge import verdict
from tandem.fabric.settings import measurements

FIXTURES = Path(__file__).parents[3] / "fixtures" / "fabric"
SCHEMA = json.loads((Path(tandem.fabric.__file__).parent / "verdict.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
A, B = "strix1", "strix2"
ADDRESSES = {A: "192.168.100.1", B: "192.168.100.2"}

SETTINGS: dict[str, Any] = {
    "latency_sizes_bytes": [2, 64, 512, 4096],
    "latency_iterations": 1000,
    "bandwidth_sizes_bytes": [4096, 65536, 1048576],
    "bandwidth_iterations": 5000,
    "tcp_latency_sizes_bytes": [64, 512, 4096],
    "tcp_latency_iterations": 200,
    "tcp_bandwidth_duration_sec": 2,
    "tcp_bandwidth_sizes_bytes": [131072],
    "run_timeout_sec": 4,
    "connect_timeout_sec": 2,
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
    "control_port": 18515,
}
#: Typical latency and bandwidth of an E810 in a Gen4 x4 slot.
ROCE = {2: 4.91, 64: 4.97, 512: 5.62, 4096: 7.84}, {4096: 31.26, 65536: 53.87, 1048576: 54.41}
TCP = {64: 38.5, 512: 39.2, 4096: 47.1}, {131072: 31.9}


def pair(transport: str = "roce", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"link0--{A}--{B}",
        "link": "link0",
        "transport": transport,
        "nodes": [A, B],
        "addresses": ADDRESSES,
        "mtu_bytes": 9000,
        **changes,
    }


def pcie(speed: float = 16.0, width: int = 4, ceiling: float = 63.015) -> dict[str, Any]:
    """A card of sixteen lanes in a slot of four."""
    return {
        "address": "0000:c2:00.0",
        "speed_gt_per_s": speed,
        "width": width,
        "max_speed_gt_per_s": 16.0,
        "max_width": 16,
        "ceiling_gbit_per_s": ceiling,
        "slot_max_speed_gt_per_s": 16.0,
        "slot_max_width": 4,
    }


def interface(**changes: Any) -> dict[str, Any]:
    return {
        "name": "enp194s0np0",
        "exists": True,
        "operational_state": "up",
        "carrier": True,
        "mtu_bytes": 9000,
        "speed_gbit_per_s": 100.0,
        "driver": "ice",
        "pause": {
            "autonegotiate": False,
            "rx": True,
            "tx": True,
            "negotiated_rx": None,
            "negotiated_tx": None,
        },
        "pcie": pcie(),
        **changes,
    }


def gids(address: str) -> list[dict[str, Any]]:
    return [
        {"index": 0, "gid": "fe80::b696:91ff:fe00:1", "type": "RoCE v2", "netdev": "enp194s0np0"},
        {"index": 1, "gid": f"::ffff:{address}", "type": "RoCE v2", "netdev": "enp194s0np0"},
    ]


def device(address: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": "rocep194s0",
        "transport": "InfiniBand",
        "firmware_version": "1.71",
        "node_guid": "b696:91ff:fe00:0001",
        "vendor_id": "0x8086",
        "vendor_part_id": 5522,
        "board_id": None,
        "ports": [
            {
                "port": 1,
                "state": "ACTIVE",
                "link_layer": "Ethernet",
                "max_mtu_bytes": 4096,
                "active_mtu_bytes": 4096,
                "rate_gbit_per_s": 100.0,
                "netdev": "enp194s0np0",
                "gids": gids(address),
                "roce_v2_ipv4_gid_index": 1,
            }
        ],
        "pcie": pcie(),
        **changes,
    }


def end(node: str, transport: str = "roce") -> dict[str, Any]:
    return {
        "interface": interface(),
        "device": device(ADDRESSES[node]) if transport == "roce" else None,
        "rdma_error": None,
        "gid_index_pinned": None,
    }


def ping(client: str, server: str, frame_bytes: int, *, lost: bool = False, **changes: Any) -> dict[str, Any]:
    count = (
        "3 packets transmitted, 0 received, 100% packet loss"
        if lost
        else "3 packets transmitted, 3 received, 0% packet loss"
    )
    return {
        "client": client,
        "server": server,
        "frame_bytes": frame_bytes,
        "rc": int(lost),
        "stdout": f"PING {ADDRESSES[server]}\n\n--- {ADDRESSES[server]} ping statistics ---\n{count}, time 402ms\n",
        "stderr": "",
        **changes,
    }


def row(test: str, size: int, value: float, iterations: int | None) -> dict[str, Any]:
    if test.endswith("_lat"):
        return {
            "message_size_bytes": size,
            "iterations": iterations,
            "latency_min_usec": round(value * 0.93, 2),
            "latency_max_usec": round(value * 4.2, 2),
            "latency_typical_usec": value,
            "latency_avg_usec": round(value * 1.02, 2),
            "latency_stdev_usec": round(value * 0.06, 2),
            "latency_p99_usec": round(value * 1.35, 2),
            "latency_p999_usec": round(value * 2.1, 2),
        }
    return {
        "message_size_bytes": size,
        "iterations": iterations,
        "bandwidth_peak_gbit_per_s": round(value * 1.01, 2),
        "bandwidth_avg_gbit_per_s": value,
        "message_rate_mpps": round(value * 1e3 / 8 / size, 4),
    }


def passed(test: str, size: int, value: float, iterations: int | None) -> dict[str, Any]:
    return {
        "changed": False,
        "failed": False,
        "results": [row(test, size, value, iterations)],
        "settings": {"device": None, "mtu_bytes": None, "gid_index": None, "link_type": None, "connection_type": None},
        "command": ["ib_" + test],
        "duration_s": 0.4,
    }


def failed(kind: str, phase: str, words: str = "", **changes: Any) -> dict[str, Any]:
    return {
        "changed": False,
        "failed": True,
        "msg": f"ib_send_lat (client): {words or kind}. Do something",
        "error_kind": kind,
        "phase": phase,
        "remedy": "Do something",
        "command": ["ib_send_lat"],
        "returncode": 1,
        "stdout": "",
        "stderr": "",
        **changes,
    }


class Observed:
    """All that the role hands to the judge; tests change what they are about."""

    def __init__(self, transport: str = "roce", **of_pair: Any) -> None:
        self.pair = pair(transport, **of_pair)
        self.ends: dict[str, Any] = {node: end(node, transport) for node in (A, B)}
        self.settings = copy.deepcopy(SETTINGS)
        self.pings = [
            ping(client, server, size) for client, server in ((A, B), (B, A)) for size in (84, self.pair["mtu_bytes"])
        ]
        self.runs: list[dict[str, Any]] = []
        latency, bandwidth = ROCE if transport == "roce" else TCP
        for client, server in ((A, B), (B, A)):
            for wanted in measurements(SETTINGS, transport):
                test, size = wanted["test"], wanted["message_size_bytes"]
                # The two ways are never quite alike.
                value = (latency if test.endswith("_lat") else bandwidth)[size] * (1 if client == A else 0.99)
                result = passed(test, size, round(value, 2), wanted.get("iterations"))
                self.runs.append(
                    {
                        "client": client,
                        "server": server,
                        "test": test,
                        "message_size_bytes": size,
                        "client_result": result,
                        "server_result": passed(test, size, round(value, 2), wanted.get("iterations")),
                    }
                )

    def port(self, node: str) -> dict[str, Any]:
        return self.ends[node]["device"]["ports"][0]

    def run(self, client: str, test: str, size: int) -> dict[str, Any]:
        [found] = [
            run for run in self.runs if (run["client"], run["test"], run["message_size_bytes"]) == (client, test, size)
        ]
        return found

    def fail(
        self, test: str, size: int, client_result: Any, server_result: Any = None, clients: tuple[str, ...] = (A, B)
    ) -> None:
        """A run fails in these directions; what would follow it is not run."""
        for client in clients:
            run = self.run(client, test, size)
            run["client_result"], run["server_result"] = client_result, server_result
            own = [other for other in self.runs if other["client"] == client]
            for other in own[own.index(run) + 1 :]:
                self.runs.remove(other)

    def measure(self, client: str, test: str, size: int, **metrics: float | None) -> None:
        self.run(client, test, size)["client_result"]["results"][0].update(metrics)

    def silent(self) -> None:
        """No ping is answered, and nothing is measured."""
        self.runs = []
        self.pings = [ping(p["client"], p["server"], p["frame_bytes"], lost=True) for p in self.pings]

    def verdict(self, **more: Any) -> dict[str, Any]:
        arguments = {"measured_at": "2026-11-24T10:00:00Z", "duration_s": 18.42, **more}
        found = verdict(self.pair, self.ends, self.pings, self.runs, self.settings, **arguments)
        VALIDATOR.validate(found)
        assert consistent(found)
        return json.loads(json.dumps(found))


def consistent(found: dict[str, Any]) -> bool:
    """What a schema cannot say: a check names a cause that is told, and every cause explains a check."""
    codes = [cause["code"] for cause in found["causes"]]
    named = [check["cause"] for check in found["checks"] if check["cause"]]
    return set(codes) == set(named) and found["cause"] == (found["causes"][0] if codes else None)


def codes(found: dict[str, Any]) -> list[str]:
    return [cause["code"] for cause in found["causes"]]


def results(found: dict[str, Any], name: str) -> list[str]:
    return [check["result"] for check in found["checks"] if check["name"] == name]


def healthy() -> dict[str, Any]:
    return Observed().verdict()


def on_a_bad_riser() -> dict[str, Any]:
    """Measured long after it was good: PCIe Gen3 x1, and fewer messages, as the gate takes a slow link slowly."""
    seen = Observed()
    for key in ("interface", "device"):
        seen.ends[B][key]["pcie"] = pcie(8.0, 1, 7.877)
    for client in (A, B):
        for wanted in measurements(SETTINGS, "roce", 7.877)[-3:]:
            size, value = wanted["message_size_bytes"], 6.8 if wanted["message_size_bytes"] == 4096 else 7.1
            run = seen.run(client, "write_bw", size)
            run["client_result"] = passed("write_bw", size, value, wanted["iterations"])
    return seen.verdict(former=Observed().verdict(measured_at="2026-10-02T08:30:00Z"))


def over_tcp() -> dict[str, Any]:
    seen = Observed("tcp")
    for node in (A, B):
        seen.ends[node]["interface"].update(
            name="eth1", driver="virtio_net", speed_gbit_per_s=50.0, pcie=None, pause=None
        )
    return seen.verdict(duration_s=11.07)


#: tests/fixtures/fabric, for those who read verdicts: run this file to write them again.
SAMPLES = {"healthy-roce.json": healthy, "pcie-gen3-x1.json": on_a_bad_riser, "tcp.json": over_tcp}


if __name__ == "__main__":
    for file, sample in SAMPLES.items():
        (FIXTURES / file).write_text(json.dumps(sample(), indent=2) + "\n")
