"""One phase: a load through one router, and what the router used for it."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.router import processes
from tandem.errors import TandemError

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Load:
    """What clients do."""

    kind: str  # "short" or "stream"
    connections: int

    def __str__(self) -> str:
        """Return the load as a row of a table has it."""
        return f"{self.kind}, {self.connections}"


LOADS = tuple(Load(kind, connections) for kind in ("short", "stream") for connections in (1, 32, 256))


@dataclass(frozen=True)
class Phase:
    """What was measured. Latency is that of the whole answer, or of the first byte of a streamed one."""

    p50_ms: float
    p99_ms: float
    answers: int
    failed: int
    seconds: float
    cpu_sec: float

    @property
    def per_sec(self) -> float:
        """Return answers a second, on this machine with everything on it."""
        return self.answers / self.seconds

    @property
    def per_cpu_sec(self) -> float:
        """Return answers for each second of the router's processor time: what one full core would carry."""
        return self.answers / self.cpu_sec if self.cpu_sec else float("nan")


def settle(pid: int, patience_sec: float = 30.0) -> None:
    """Wait until a router has done with what the clients before left behind: not all of them notice that those went."""
    until = time.monotonic() + patience_sec
    while time.monotonic() < until:
        before = processes.usage(pid).cpu_sec
        time.sleep(0.5)
        if processes.usage(pid).cpu_sec - before < 0.05:
            return


def measure(port: int, load: Load, seconds: float, pid: int | None) -> Phase:
    """Load the router that has the port, and is the process `pid` (None: the stub itself)."""
    if pid is not None:
        settle(pid)
    _, core = processes.cores()
    command = [
        processes.python(),
        "-m",
        "benchmarks.router.load",
        str(port),
        str(load.connections),
        str(seconds),
        load.kind,
    ]
    used = []
    with subprocess.Popen(
        ["taskset", "-c", str(core), *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        lines = iter(process.stdout or ())
        for word in ("begin", "end"):
            if next(lines, "").strip() != word:
                raise TandemError(f"the clients failed under the load {load}; their error is above")
            used.append(processes.usage(pid).cpu_sec if pid is not None else 0.0)
        found = json.loads(next(lines))
    which = "whole" if load.kind == "short" else "first"
    missing = float("nan")
    return Phase(
        found.get(f"{which}_p50_ms", missing),
        found.get(f"{which}_p99_ms", missing),
        int(found["answers"]),
        int(found["failed"]),
        found["seconds"],
        used[1] - used[0],
    )
