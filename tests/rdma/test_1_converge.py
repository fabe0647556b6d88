"""From bare machines to a fabric that may serve. The tests of this directory run in order, on the same machines."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema
import pytest

from tests.rdma.fabric import NODES, ROOT, Fabric, until
from tests.rdma.machines import wait_for_ssh

pytestmark = pytest.mark.rdma
SCHEMA = ROOT / "src/tandem/fabric/verdict.schema.json"


@pytest.mark.long
def test_check_mode_passes_on_bare_machines_and_changes_nothing(fabric: Fabric) -> None:
    done = fabric.play("converge.yml", "--check", "--diff")
    assert done.returncode == 0, done
    assert done.changed, "check mode must say what it would change"
    for node in NODES:
        assert fabric.ssh(node, "ls /sys/class/infiniband /var/lib/tandem 2>/dev/null", check=False) == ""
        assert "link0" not in fabric.ssh(node, "nmcli -g NAME connection show").split()


def test_converging_makes_a_fabric_that_passes_the_gate(fabric: Fabric, say: Callable[[str], None]) -> None:
    done = fabric.play("converge.yml")
    assert done.returncode == 0, done
    verdict = json.loads(fabric.verdict_file.read_text())
    jsonschema.validate(verdict, json.loads(SCHEMA.read_text()))
    assert (verdict["verdict"], verdict["serving_allowed"], verdict["causes"]) == ("pass", True, []), verdict
    assert verdict["duration_s"] <= verdict["time_limit_s"]
    measured = {(row["client"], row["server"], row["test"]) for row in verdict["series"]}
    assert len(measured) == 4, "latency and bandwidth, in both directions"
    say(f"the gate took {verdict['duration_s']} s, its settings allow {verdict['time_limit_s']} s")


def test_the_nodes_keep_the_verdict(fabric: Fabric) -> None:
    verdict = json.loads(fabric.verdict_file.read_text())
    for node in NODES:
        path = f"/var/lib/tandem/fabric/{fabric.verdict_file.name}"
        assert json.loads(fabric.ssh(node, f"cat {path}"))["measured_at"] == verdict["measured_at"]
        assert fabric.ssh(node, f"stat -c '%U %a' {path}") == "root 644"


@pytest.mark.long
def test_check_mode_reports_nothing_on_converged_machines(fabric: Fabric) -> None:
    done = fabric.play("converge.yml", "--check", "--diff")
    assert done.returncode == 0, done
    assert done.changed == (), done


@pytest.mark.long
def test_the_rdma_device_comes_back_after_a_reboot(fabric: Fabric) -> None:
    device = fabric.device("node2")
    booted = fabric.ssh("node2", "cat /proc/sys/kernel/random/boot_id")
    fabric.ssh("node2", "systemctl reboot", check=False)
    fabric.machines.disconnect("node2")
    wait_for_ssh(fabric.machines, "node2")
    until(fabric.works, timeout_sec=60, what="the link and the RDMA devices work after a reboot")
    assert fabric.ssh("node2", "cat /proc/sys/kernel/random/boot_id") != booted
    assert fabric.device("node2") == device
