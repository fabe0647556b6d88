"""Faults of a running cluster: it comes back without a person, or refuses and says why."""

from __future__ import annotations

import json

import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab


def test_each_rank_lives_on_its_own_node() -> None:
    done = lab.playbook("playbooks/verify.yml")
    assert done.returncode == 0, done
    for node in lab.NODES:
        assert lab.ssh(node, "pgrep -fc '^ray::RayWorker'") == "1"


def test_a_killed_ray_worker_is_replaced_and_the_engine_answers_again() -> None:
    before = int(lab.unit("node1")["NRestarts"])
    lab.ssh("node2", "pkill -9 -x raylet")
    lab.until(lambda: not lab.answers(), timeout_sec=30, what="the engine notices the lost worker", interval_sec=0.5)
    lab.until(lab.answers, timeout_sec=240, what="the engine answers again")
    assert int(lab.unit("node1")["NRestarts"]) - before in (1, 2)


def test_a_rank_that_hangs_is_noticed_and_the_engine_answers_again() -> None:
    """A stopped process keeps every connection open: /health says 200, only missing tokens tell."""
    before = int(lab.unit("node1")["NRestarts"])
    lab.ssh("node2", "pkill -STOP -f '^(VLLM::|ray::RayWorker)'")
    lab.until(
        lambda: int(lab.unit("node1")["NRestarts"]) > before, timeout_sec=240, what="the supervisor restarts the engine"
    )
    lab.until(lab.answers, timeout_sec=240, what="the engine answers again")


def test_node2_comes_back_after_a_reboot() -> None:
    reboot("node2")
    lab.until(lab.answers, timeout_sec=300, what="the engine answers again")


def test_both_nodes_come_back_after_a_power_cut() -> None:
    reboot("node1")
    reboot("node2")
    lab.until(lab.answers, timeout_sec=300, what="the engine answers again")
    for node in lab.NODES:
        assert lab.ssh(node, "systemctl is-system-running", check=False) in ("running", "starting")


def reboot(node: str) -> None:
    """Reboot a node and wait until another systemd answers there."""
    booted = lab.ssh(node, "stat -c %Y /proc/1")
    lab.ssh(node, "systemctl reboot", check=False)

    def is_new() -> bool:
        return lab.ssh(node, "stat -c %Y /proc/1", check=False) not in ("", booted)

    lab.until(is_new, timeout_sec=120, what=f"{node} boots")


VERDICT = "/var/lib/tandem/fabric/link0--node1--node2.json"
PASSED = "/run/passed.json"
WEIGHTS = "/var/lib/tandem/models/smollm2-135m-instruct/1/model.safetensors"


def test_the_gate_passed_over_tcp_and_both_nodes_know() -> None:
    known = [json.loads(lab.ssh(node, f"cat {VERDICT}")) for node in lab.NODES]
    assert known[0] == known[1]
    assert (known[0]["transport"], known[0]["serving_allowed"]) == ("tcp", True), known[0]["causes"]
    measured = {(point["client"], point["server"], point["test"]) for point in known[0]["series"]}
    assert len(measured) == 4, "latency and bandwidth, in both directions"


def test_a_failed_verdict_leaves_what_runs_alone_and_refuses_the_next_start() -> None:
    lab.ssh("node1", f"cp {VERDICT} {PASSED}")
    fail_the_gate()
    assert lab.answers(), "a verdict does not end an engine that runs"
    refused("node1")
    told = lab.ssh("node1", f"systemctl --no-pager --full --lines=20 status {lab.ENGINE_UNIT}", check=False)
    assert "eth1 of node2 has MTU 1500" in told, told
    assert VERDICT in told


def test_broken_weight_files_are_refused() -> None:
    """On whichever node: each reads its own copy."""
    lab.ssh("node1", f"mv {PASSED} {VERDICT}")
    for node in lab.NODES:
        lab.ssh(node, f"printf X | dd of={WEIGHTS} bs=1 seek=1000000 conv=notrunc status=none")
    for node in lab.NODES:
        refused(node)
        assert "model.safetensors" in lab.ssh(node, f"journalctl --no-pager -n 20 -u {lab.ENGINE_UNIT}")
    assert not lab.answers()


def test_one_converge_measures_anew_and_repairs_the_weights() -> None:
    fail_the_gate()
    done = lab.playbook("site.yml")
    assert done.returncode == 0, done
    for node in lab.NODES:
        assert any("Copy the files" in task and task.endswith(f"@{node}") for task in done.changed), done
    assert lab.answers()


def fail_the_gate() -> None:
    """Store a verdict that allows nothing, as the gate would after it found another MTU."""
    document = json.loads(lab.ssh("node1", f"cat {VERDICT}"))
    cause = {
        "code": "mtu_mismatch",
        "node": "node2",
        "message": "eth1 of node2 has MTU 1500",
        "remedy": "set it to 9000",
    }
    document |= {"verdict": "fail", "serving_allowed": False, "cause": cause, "causes": [cause]}
    lab.ssh("node1", f"cat > {VERDICT} <<'VERDICT'\n{json.dumps(document)}\nVERDICT")


def refused(node: str) -> None:
    """Restart the engine's unit of a node, and see it refuse for good: no restart could mend the cause."""
    lab.ssh(node, f"systemctl restart --no-block {lab.ENGINE_UNIT}")
    lab.until(lambda: lab.unit(node)["ActiveState"] == "failed", timeout_sec=60, what=f"the unit of {node} refuses")
    assert lab.unit(node)["ExecMainStatus"] == "78"
    assert lab.unit(node)["NRestarts"] == "0"
