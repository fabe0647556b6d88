"""The modules against the real tools."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.rdma.fabric import ADDRESSES, Fabric

pytestmark = pytest.mark.rdma
LATENCY = {"latency_min_usec", "latency_typical_usec", "latency_avg_usec", "latency_max_usec", "latency_p99_usec"}
BANDWIDTH = {"bandwidth_peak_gbit_per_s", "bandwidth_avg_gbit_per_s", "message_rate_mpps"}


@pytest.mark.parametrize("node", ["node1", "node2"])
def test_rdma_info_finds_the_device_of_the_link(fabric: Fabric, node: str) -> None:
    (device,) = fabric.module(node, "rdma_info")["devices"]
    (port,) = device["ports"]
    assert device["name"] == fabric.device(node)
    assert port["netdev"] == fabric.interface(node)
    assert (port["state"], port["link_layer"], port["active_mtu_bytes"]) == ("ACTIVE", "Ethernet", 4096)
    assert port["roce_v2_ipv4_gid_index"] == 1
    assert port["gids"][1] == {
        "index": 1,
        "gid": f"::ffff:{ADDRESSES[node]}",
        "type": "RoCE v2",
        "netdev": fabric.interface(node),
    }
    # What every emulated card says of itself, whatever the slot could do.
    assert (device["pcie"]["speed_gt_per_s"], device["pcie"]["width"]) == (2.5, 1)
    assert device["pcie"]["ceiling_gbit_per_s"] == 2.0


def both_ends(fabric: Fabric, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the results of the server on node2 and of the client on node1."""
    shared = {"gid_index": 1, "timeout_s": 30, **arguments}
    with ThreadPoolExecutor() as pool:
        server = pool.submit(fabric.module, "node2", "rdma_perftest", device=fabric.device("node2"), **shared)
        client = pool.submit(
            fabric.module,
            "node1",
            "rdma_perftest",
            device=fabric.device("node1"),
            server=ADDRESSES["node2"],
            connect_timeout_s=15,
            **shared,
        )
        return server.result(), client.result()


@pytest.mark.parametrize("test", ["send_lat", "write_lat", "read_lat", "send_bw", "write_bw", "read_bw"])
def test_rdma_perftest_measures_with_each_tool(fabric: Fabric, test: str) -> None:
    server, client = both_ends(fabric, test=test, message_size_bytes=4096, iterations=50)
    assert not server.get("failed"), server
    assert not client.get("failed"), client
    (row,) = client["results"]
    assert (row["message_size_bytes"], row["iterations"]) == (4096, 50)
    measured = {key for key, value in row.items() if value}
    assert measured >= (LATENCY if test.endswith("lat") else BANDWIDTH)
    assert client["settings"]["device"] == fabric.device("node1")
    assert client["settings"]["gid_index"] == 1
    assert fabric.leftovers() == {}


def test_a_server_that_nobody_came_to_ends_in_time(fabric: Fabric) -> None:
    result = fabric.module("node2", "rdma_perftest", device=fabric.device("node2"), test="send_lat", timeout_s=3)
    assert (result["error_kind"], result["phase"]) == ("timeout", "connect")
    assert fabric.leftovers() == {}


def test_a_client_without_a_server_is_refused(fabric: Fabric) -> None:
    result = fabric.module(
        "node1",
        "rdma_perftest",
        device=fabric.device("node1"),
        server=ADDRESSES["node2"],
        test="write_bw",
        connect_timeout_s=2,
        timeout_s=10,
    )
    assert (result["error_kind"], result["phase"]) == ("connection_refused", "connect")
    assert result["remedy"]


def test_a_gid_that_is_not_there_is_named(fabric: Fabric) -> None:
    result = fabric.module("node1", "rdma_perftest", device=fabric.device("node1"), test="send_lat", gid_index=200)
    assert (result["error_kind"], result["phase"]) == ("gid_out_of_range", "start")
