"""Faults that somebody made on converged nodes: each is named with its node, repaired by one run, and gone."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab

REPORT = lab.ROOT / ".tandem" / "lab" / "drift" / "report.json"
GHOST = "/etc/systemd/system/multi-user.target.wants/tandem-engine@ghost.service"
WEIGHTS = "/var/lib/tandem/models/smollm2-135m-instruct/1/model.safetensors"


@dataclass(frozen=True)
class Fault:
    """What somebody did on a node, and the role and subject by which it must be found."""

    node: str
    command: str
    role: str
    subject: str


FAULTS = (
    Fault("node1", "ip link set eth1 mtu 1500", "link", "link0"),
    Fault(
        "node2",
        "nmcli connection modify link0 ipv4.addresses 192.168.100.6/30 && nmcli connection up link0",
        "link",
        "link0",
    ),
    Fault(
        "node1",
        "sed -i 's/^\\[Service\\]/&\\nNice=3/' /etc/systemd/system/tandem-ray.service",
        "ray",
        "/etc/systemd/system/tandem-ray.service",
    ),
    Fault(
        "node1",
        "systemctl stop tandem-port-guard && ln -sf /dev/null /etc/systemd/system/tandem-port-guard.service"
        " && systemctl daemon-reload",
        "port_guard",
        "/etc/systemd/system/tandem-port-guard.service",
    ),
    Fault("node2", "nft flush table inet tandem", "port_guard", "tandem-port-guard.service"),
    Fault("node2", "systemctl stop tandem-ray", "ray", "tandem-ray.service"),
    Fault("node2", "systemctl disable tandem-engine@smollm2", "vllm_engine", "smollm2"),
    Fault("node1", "echo 'max-num-seqs: 1' >>/etc/tandem/engines/smollm2/serve.yaml", "vllm_engine", "smollm2"),
    Fault(
        "node2",
        "install -d /etc/systemd/system/tandem-engine@.service.d && printf '[Service]\\nNice=5\\n'"
        " >/etc/systemd/system/tandem-engine@.service.d/x.conf",
        "unit_overrides",
        "/etc/systemd/system/tandem-engine@.service.d/x.conf",
    ),
    # Another file of the same size and time.
    Fault(
        "node2",
        f"touch -r {WEIGHTS} /tmp/time && printf 12345678 | dd of={WEIGHTS} bs=1 seek=9000 conv=notrunc"
        f" && touch -r /tmp/time {WEIGHTS}",
        "model_weights",
        "",
    ),
    Fault(
        "node1", "chmod 0644 /etc/tandem/secrets/cluster_token", "cluster_secrets", "/etc/tandem/secrets/cluster_token"
    ),
    Fault("node1", "rm /var/lib/tandem/fabric/*.json", "fabric_gate", "link0--node1--node2"),
    Fault("node2", "usermod --shell /bin/bash tandem", "service_account", "tandem"),
    Fault("node1", "usermod --append --groups adm tandem", "service_account", "adm"),
    Fault("node1", f"chown tandem {WEIGHTS}", "model_weights", WEIGHTS.rpartition("/")[0]),
    # Where the others have theirs from.
    Fault(
        "node1",
        "truncate --size -100 /var/lib/tandem/models/smollm2-135m-instruct/1/tokenizer.json",
        "model_weights",
        "",
    ),
    Fault("node1", "chown tandem /etc/systemd/system/tandem.slice", "memory_guard", ""),
    Fault(
        "node1",
        "echo ssh-ed25519 AAAA nobody >/var/lib/tandem/.ssh/authorized_keys2",
        "cluster_ssh",
        "/var/lib/tandem/.ssh/authorized_keys2",
    ),
    Fault("node1", "systemctl enable tandem-engine@ghost", "vllm_engine", GHOST),
    Fault("node1", "echo another >/etc/tandem/secrets/router/CLIENT_LAB", "model_router", ""),
    Fault(
        "node1",
        "rm /etc/systemd/system/tandem-engine@.service",
        "vllm_engine",
        "/etc/systemd/system/tandem-engine@.service",
    ),
    Fault("node2", "rm /etc/tandem/secrets/cluster_token", "cluster_secrets", ""),
    # A link is a drop-in, too.
    Fault(
        "node1",
        "install -d /etc/systemd/system/tandem-router.service.d && printf '[Service]\\nNice=5\\n' >/root/x"
        " && ln -s /root/x /etc/systemd/system/tandem-router.service.d/x.conf",
        "unit_overrides",
        "/etc/systemd/system/tandem-router.service.d/x.conf",
    ),
)


def drift(*arguments: str, timeout_sec: float = 900) -> tuple[int, str]:
    """Run ``tandem drift`` on the lab and return its status and what it printed."""
    argv = [str(lab.BIN / "tandem"), "drift", "--inventory", lab.INVENTORY, *arguments]
    options = {"cwd": lab.ROOT, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(argv, timeout=timeout_sec, check=False, **options)  # type: ignore[call-overload]
    return done.returncode, done.stdout + done.stderr


def findings() -> set[tuple[str, str, str]]:
    """Return node, role and subject of each finding of the last run in check mode."""
    document = json.loads(REPORT.read_text())
    return {(item["node"], item["role"], item["subject"]) for item in document["findings"] if item["source"] == "check"}


def test_converged_nodes_are_clean() -> None:
    """So is what check mode says of them: it is what this runs."""
    status, text = drift("--timings")
    print(text)
    assert status == 0, text
    assert findings() == set()


def test_each_fault_is_found_on_its_node_and_nothing_else() -> None:
    for fault in FAULTS:
        lab.ssh(fault.node, fault.command)
    status, text = drift()
    print(text)
    assert status == 2, text
    expected = {(fault.node, fault.role, fault.subject) for fault in FAULTS}
    assert expected - findings() == set(), text
    # What follows from a fault: nftables' table is gone on the node whose guard was stopped, and the engine, which
    # needs Ray, ended on both nodes or is about to.
    follows = {
        ("node1", "port_guard", "tandem-port-guard.service"),
        ("node1", "vllm_engine", "smollm2"),
        ("node1", "ray", "tandem-ray.service"),
        # Units of ranks require the guard.
        ("node1", "vllm_engine", "smollm2-solo"),
    }
    assert findings() - expected - follows == set(), text
    assert "tokenizer.json" in text


def test_one_repair_brings_all_back_and_leaves_no_difference() -> None:
    status, text = drift("--repair", timeout_sec=1800)
    print(text)
    assert status == 0, text
    assert findings() == set()
    assert lab.answers()
    assert "Nice" not in lab.ssh("node1", "cat /etc/systemd/system/tandem-ray.service")
    assert "rw-------" in lab.ssh("node1", "ls -l /etc/tandem/secrets/cluster_token")
