"""Starts what is measured, each on its core, and reads from the kernel what it used."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.errors import TandemError

_TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")
#: litellm imports half of the package index; on a busy machine that takes minutes.
START_TIMEOUT_SEC = 300.0


def cores() -> tuple[int, int]:
    """Return the core of the router, and that of everything else."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def free_port() -> int:
    """Return a port that nobody has just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True)
class Usage:
    """What a process and its children used so far, and hold now."""

    cpu_sec: float
    rss_bytes: int
    pss_bytes: int


def usage(pid: int) -> Usage:
    """Return what the kernel says; a process that has just ended counts for nothing."""
    cpu_ticks = rss = pss = 0
    for one in (pid, *_below(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            cpu_ticks += int(fields[11]) + int(fields[12])
            rollup = dict(line.split(":", 1) for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:])
            rss += int(rollup["Rss"].split()[0]) * 1024
            pss += int(rollup["Pss"].split()[0]) * 1024
    return Usage(cpu_ticks / _TICKS_PER_SEC, rss, pss)


def _below(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from _below(child)


@contextlib.contextmanager
def running(command: Sequence[str], core: int, log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Run a command on one core while the context lasts; gives its process id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(port: int, path: str, log: Path, what: str) -> None:
    """Wait until a GET is answered, even with an error. Raises TandemError."""
    until = time.monotonic() + START_TIMEOUT_SEC
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", path)
            connection.getresponse().read()
            return
        time.sleep(0.2)
    said = log.read_text(errors="replace")[-2000:]
    raise TandemError(f"{what} did not answer within {START_TIMEOUT_SEC:g} s; it said:\n{said}")


def python() -> str:
    """Return our own interpreter."""
    return sys.executable
