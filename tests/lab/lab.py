"""The lab as the tests see it: playbooks, nodes reached by SSH, and questions to the engine."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import plays

ROOT = Path(__file__).parents[2]
INVENTORY = "inventories/lab"
BIN = Path(sys.executable).parent
NODES = ("node1", "node2")
ENGINE_UNIT = "tandem-engine@smollm2.service"


def playbook(*arguments: str, variables: Mapping[str, Any] | None = None, timeout_sec: float = 900) -> plays.Play:
    """Run a playbook on the lab and return which tasks changed or failed, as ``task@node``."""
    return plays.play(INVENTORY, *(arguments or ("site.yml",)), variables=variables, timeout_sec=timeout_sec)


def ssh(node: str, command: str, *, check: bool = True, timeout_sec: float = 60) -> str:
    """Run a shell command on a node as root, over the connection that Ansible uses."""
    argv = ["ssh", "-n", "-F", ".lab/ssh_config", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", node, command]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=timeout_sec, check=False)
    if check and done.returncode:
        raise AssertionError(f"{node}: {command!r} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def copy(node: str, source: Path, destination: str) -> None:
    """Copy a file to a node."""
    subprocess.run(
        ["scp", "-q", "-F", ".lab/ssh_config", str(source), f"{node}:{destination}"], cwd=ROOT, check=True, timeout=60
    )


_KNOCK = """
import socket, sys
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port)), timeout=0.5).close()
        print(port)
    except OSError:
        pass
"""


def role_tests(role: str) -> None:
    """Run the tests that Molecule's scenario of a role has, on the lab's nodes."""
    hosts = ",".join(f"ssh://{node}" for node in NODES)
    argv = [
        str(BIN / "pytest"),
        "--quiet",
        f"--hosts={hosts}",
        "--ssh-config=.lab/ssh_config",
        f"molecule/{role}/tests",
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout


def open_from_management(address: str, ports: Sequence[str]) -> list[str]:
    """Return which of the ports accept a connection from another machine on the management network."""
    image = subprocess.run(
        ["scripts/lab-podman", "inspect", "--format", "{{.ImageName}}", "tandem-node1"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    ).stdout.strip()  # fmt: skip
    argv = [
        "scripts/lab-podman",
        "run",
        "--rm",
        "--network",
        "tandem-management",
        image,
        "python3",
        "-c",
        _KNOCK,
        address,
        *ports,
    ]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=180, check=True).stdout.split()


def ask(prompt: str, *, engine: str = "smollm2", max_tokens: int = 40) -> str:
    """Return the answer of ``tandem ask``; a failure is an ``AssertionError``."""
    argv = [str(BIN / "tandem"), "ask", "-i", INVENTORY, "--engine", engine, "--max-tokens", str(max_tokens), prompt]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def complete(node: str, port: int, engine: str, prompt: str) -> str:
    """Return a greedy answer of 24 tokens from an engine that the inventory does not have, asked on its leader."""
    body = json.dumps(
        {"model": engine, "messages": [{"role": "user", "content": prompt}], "max_tokens": 24, "temperature": 0}
    )
    key = f"$(cat /etc/tandem/secrets/engine-{engine}.key)"
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    headers = f'-H "Authorization: Bearer {key}" -H "Content-Type: application/json"'
    command = f"curl -sS --fail {headers} -d {shlex.quote(body)} {url}"
    return str(json.loads(ssh(node, command, timeout_sec=120))["choices"][0]["message"]["content"])


def answers() -> bool:
    """Whether the engine knows the capital of France just now."""
    try:
        return "Paris" in ask("What is the capital of France?", max_tokens=16)
    except (AssertionError, subprocess.TimeoutExpired):
        return False


def until(condition: Callable[[], bool], *, timeout_sec: float, what: str, interval_sec: float = 2) -> float:
    """Wait for a condition and return after how many seconds it held."""
    started = time.monotonic()
    while time.monotonic() - started < timeout_sec:
        if condition():
            return time.monotonic() - started
        time.sleep(interval_sec)
    raise AssertionError(f"not within {timeout_sec} s: {what}\n{state()}")


def unit(node: str, name: str = ENGINE_UNIT) -> dict[str, str]:
    """Return the properties of a unit that tests look at."""
    properties = "ActiveState,SubState,Result,NRestarts,StatusText,MainPID,ExecMainStatus"
    lines = ssh(node, f"systemctl show -p {properties} {name}").splitlines()
    return dict(line.split("=", 1) for line in lines)


def state(nodes: Sequence[str] = NODES) -> str:
    """Return what a person would look at first when the lab does not answer."""
    command = (
        f"systemctl --no-pager --lines=15 status {ENGINE_UNIT} tandem-ray.service; "
        f"journalctl --no-pager -n 40 -u {ENGINE_UNIT} -u tandem-ray.service"
    )
    return "\n".join(f"--- {node}\n{ssh(node, command, check=False)}" for node in nodes)
