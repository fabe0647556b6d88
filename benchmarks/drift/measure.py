"""Run `tandem drift` and say what it cost, on this machine and on the nodes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.drift.warm import client
from tandem.errors import TandemError

#: What logins and their programs used, and the server that lets them in.
_ACCOUNTS = ("user.slice", "system.slice/ssh.service")


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    nodes: int
    warm: bool
    wall_sec: float
    control_cpu_sec: float
    node_cpu_sec: float
    status: int
    spent_sec: dict[str, float]


def drift(inventory: Path, nodes: Sequence[str], ssh_config: Path, *, warm: bool) -> Cost:
    """Look for drift once.

    Raises:
        TandemError: It could not be told whether there is any.
    """
    environment = os.environ | ({} if warm else {client.VARIABLE: "off"})
    before, began, used = _children_sec(), time.monotonic(), _used_sec(nodes, ssh_config)
    done = subprocess.run(
        ["tandem", "drift", "--json", "-i", str(inventory)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    if done.returncode not in (0, 2):
        raise TandemError(f"tandem drift ended with {done.returncode}: {done.stderr or done.stdout}")
    return Cost(
        nodes=len(nodes),
        warm=warm,
        wall_sec=wall,
        control_cpu_sec=_children_sec() - before,
        node_cpu_sec=_used_sec(nodes, ssh_config) - used,
        status=done.returncode,
        spent_sec=json.loads(done.stdout)["spent_sec"],
    )


def _children_sec() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _used_sec(nodes: Sequence[str], ssh_config: Path) -> float:
    command = "cat " + " ".join(f"/sys/fs/cgroup/{name}/cpu.stat" for name in _ACCOUNTS)
    total = 0
    for node in nodes:
        text = subprocess.run(
            ["ssh", "-F", str(ssh_config), node, command], capture_output=True, text=True, check=True
        ).stdout
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("usage_usec"))
    return total / 1e6
