"""Runs of ansible-playbook, and what they did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Play:
    """What one run of ansible-playbook did."""

    returncode: int
    changed: tuple[str, ...]
    failed: tuple[str, ...]
    output: str
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what a failed assertion should show."""
        return (
            f"exit {self.returncode}; changed: {list(self.changed)}; failed: {list(self.failed)}\n{self.output[-4000:]}"
        )


def _messages(result: Mapping[str, Any]) -> list[str]:
    """Return what a failed task says, and what each failed item of its loop says."""
    items = [item for item in result.get("results", []) if item.get("failed")]
    return [str(part.get("msg", part)) for part in (result, *items)]


def play(
    inventory: Path | str,
    *arguments: str,
    variables: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_sec: float = 900,
) -> Play:
    """Run a playbook and return which tasks changed or failed, as ``task@node``."""
    argv = [str(BIN / "ansible-playbook"), "-i", str(inventory), *arguments]
    if variables is not None:
        argv += ["--extra-vars", json.dumps(variables)]
    used = os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"} | dict(environment or {})
    # Ansible refuses an input that somebody, as ssh does, made non-blocking: it gets one of its own.
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(argv, cwd=ROOT, env=used, timeout=timeout_sec, check=False, **options)
    start = done.stdout.find("{\n")
    if start < 0:  # Ansible gave up before the first play
        return Play(done.returncode, (), (), done.stdout + done.stderr)
    document, _ = json.JSONDecoder().raw_decode(done.stdout, start)  # another callback prints its times behind it
    results = [
        (f"{task['task']['name']}@{node}", result)
        for part in document["plays"]
        for task in part["tasks"]
        for node, result in task["hosts"].items()
    ]
    failures = [(name, result) for name, result in results if result.get("failed") or result.get("unreachable")]
    return Play(
        done.returncode,
        tuple(name for name, result in results if result.get("changed")),
        tuple(name for name, _ in failures),
        "\n".join(f"{name}: {message}" for name, result in failures for message in _messages(result)) + done.stderr,
        tuple(str(result["msg"]) for _, result in results if not result.get("failed") and "msg" in result),
    )
