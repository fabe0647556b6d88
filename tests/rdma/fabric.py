"""The fabric between the two machines as the tests see it: playbooks, single modules, verdicts."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests import plays
from tests.rdma.machines import NODES, ROOT, Machines

INVENTORY = "tests/rdma/inventory"
ADDRESSES = {"node1": "192.168.100.1", "node2": "192.168.100.2"}
#: Every program of perftest that the gate or the tests may start.
PERFTEST = "'^ib_(send|write|read)_(lat|bw)$'"


@dataclass(frozen=True)
class Fabric:
    """Two nodes and the link between them."""

    machines: Machines

    @cached_property
    def environment(self) -> dict[str, str]:
        """Return what Ansible needs to know about this run: nothing of another one may be reused."""
        directory = self.machines.directory
        return {
            "TANDEM_RDMA_MACHINES": str(directory),
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(directory / "facts"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp"),
        }

    def play(self, playbook: str, *options: str, variables: Mapping[str, Any] | None = None) -> plays.Play:
        """Run a playbook of this directory on both nodes."""
        return plays.play(
            INVENTORY, f"tests/rdma/{playbook}", *options, variables=variables, environment=self.environment
        )

    def gate(self, **variables: Any) -> dict[str, Any]:
        """Measure the fabric as it is now and return the verdict, which the run itself must agree with."""
        self.verdict_file.unlink(missing_ok=True)
        done = self.play("gate.yml", variables=variables)
        assert self.verdict_file.exists(), done
        verdict: dict[str, Any] = json.loads(self.verdict_file.read_text())
        assert (done.returncode == 0) == verdict["serving_allowed"], done
        return verdict

    @property
    def verdict_file(self) -> Path:
        """Return where the gate keeps the verdict of the only pair."""
        return self.machines.directory / "fabric" / "link0--node1--node2.json"

    def module(self, node: str, name: str, timeout_sec: float = 120, **arguments: Any) -> dict[str, Any]:
        """Run a single module on a node and return its result, also that of a failure."""
        argv = [str(plays.BIN / "ansible"), "-i", INVENTORY, node, "-m", name]
        argv += ["-a", json.dumps(arguments)] if arguments else []
        environment = os.environ | self.environment
        environment |= {"ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        done = subprocess.run(argv, cwd=ROOT, env=environment, timeout=timeout_sec, check=False, **options)
        assert "{\n" in done.stdout, done
        document, _ = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{\n"))
        result: dict[str, Any] = document["plays"][0]["tasks"][0]["hosts"][node]
        return result

    def ssh(self, node: str, command: str, *, check: bool = True) -> str:
        """Run a shell command on a node as root."""
        return self.machines.ssh(node, command, check=check)

    def interface(self, node: str) -> str:
        """Return the name of a node's end of the link."""
        number = NODES.index(node) + 1
        return self.ssh(node, f"basename $(dirname $(grep -l 52:54:00:64:00:0{number} /sys/class/net/*/address))")

    def device(self, node: str) -> str:
        """Return the name of a node's RDMA device, asked of the kernel."""
        links = json.loads(self.ssh(node, "rdma --json link show"))
        return next(str(link["ifname"]) for link in links if link.get("netdev") == self.interface(node))

    def works(self) -> bool:
        """Whether both ports are active and full frames pass."""
        command = "rdma link show | grep -q 'state ACTIVE' && ping -c 1 -W 1 -M do -s 8972 {} >/dev/null && echo works"
        peers = zip(NODES, reversed(NODES), strict=True)
        return all(self.ssh(node, command.format(ADDRESSES[peer]), check=False) == "works" for node, peer in peers)

    def leftovers(self) -> dict[str, str]:
        """Return what still runs of any measurement, by node."""
        found = {node: self.ssh(node, f"pgrep -ax {PERFTEST}", check=False) for node in NODES}
        return {node: processes for node, processes in found.items() if processes}


def until(condition: Callable[[], bool], *, timeout_sec: float, what: str) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + timeout_sec
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"not within {timeout_sec} s: {what}")
        time.sleep(0.5)
