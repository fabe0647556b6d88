"""Each fault is made for real, and the verdict names it. Afterwards the gate passes again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rdma import faults
from tests.rdma.fabric import Fabric

pytestmark = pytest.mark.rdma


@pytest.fixture(autouse=True)
def nothing_left_running(fabric: Fabric) -> Any:
    """No end of a measurement outlives the gate, whatever happened to the other one."""
    yield
    assert fabric.leftovers() == {}


def blamed(verdict: dict[str, Any]) -> str:
    """Return the code of the root cause of a verdict that keeps the engine from serving."""
    assert (verdict["verdict"], verdict["serving_allowed"]) == ("fail", False)
    assert verdict["cause"] == verdict["causes"][0]
    assert verdict["cause"]["remedy"]
    return str(verdict["cause"]["code"])


def test_no_device(fabric: Fabric) -> None:
    with faults.no_device(fabric):
        verdict = fabric.gate()
    assert blamed(verdict) == "no_device"
    assert verdict["cause"]["node"] == faults.NODE


@pytest.mark.long
def test_port_down(fabric: Fabric) -> None:
    with faults.interface_down(fabric):
        verdict = fabric.gate()
    # The interface below the port explains the port.
    assert blamed(verdict) == "link_down"
    assert verdict["cause"]["node"] == faults.NODE


@pytest.mark.long
def test_mtu_mismatch(fabric: Fabric) -> None:
    with faults.mtu(fabric, 1500):
        verdict = fabric.gate()
    assert blamed(verdict) == "mtu_mismatch"


@pytest.mark.long
def test_full_frames_are_lost_while_small_ones_pass(fabric: Fabric) -> None:
    with faults.dropped(fabric, "meta length > 1500"):
        verdict = fabric.gate()
    assert blamed(verdict) == "full_frames_lost"


def test_large_rdma_packets_are_lost_while_small_ones_and_pings_pass(fabric: Fabric) -> None:
    with faults.dropped(fabric, "udp dport 4791 meta length > 1500"):
        verdict = fabric.gate()
    assert blamed(verdict) == "large_packets_lost"


@pytest.mark.long
def test_roce_v2_is_dropped(fabric: Fabric) -> None:
    with faults.dropped(fabric, "udp dport 4791"):
        verdict = fabric.gate()
    assert blamed(verdict) == "rocev2_blocked"


@pytest.mark.long
def test_the_control_port_is_dropped(fabric: Fabric) -> None:
    with faults.dropped(fabric, f"tcp dport {faults.CONTROL_PORT}"):
        verdict = fabric.gate()
    assert blamed(verdict) == "control_port_blocked"


@pytest.mark.long
def test_the_peer_does_not_listen(fabric: Fabric) -> None:
    with faults.port_taken(fabric):
        verdict = fabric.gate()
    assert blamed(verdict) == "peer_not_listening"


@pytest.mark.long
def test_a_wrong_gid(fabric: Fabric) -> None:
    """The link-local one is of type RoCE v2, too."""
    assert blamed(fabric.gate(rdma_gid_index=0)) == "wrong_gid"


@pytest.mark.long
def test_the_server_is_killed_in_the_middle_of_a_run(fabric: Fabric) -> None:
    with faults.killed_server(fabric):
        # No least bandwidth: it would make the run as short as a slow link needs it.
        verdict = fabric.gate(fabric_gate_bandwidth_iterations=4000, fabric_gate_roce_bandwidth_min_percent=0)
    assert blamed(verdict) == "peer_lost"


def test_a_second_converge_changes_nothing_and_the_gate_passes_again(fabric: Fabric) -> None:
    done = fabric.play("converge.yml")
    assert done.returncode == 0, done
    assert done.changed == (), done
    verdict = json.loads(fabric.verdict_file.read_text())
    assert (verdict["verdict"], verdict["serving_allowed"], verdict["causes"]) == ("pass", True, []), verdict
