"""Which processes of a node are ranks of an engine: read from ``/proc``, which shows names and units to everybody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: Titles that vLLM 0.32 gives to the process of a rank: under its own executor, under Ray, and where it is alone.
RANK_TITLE = re.compile(r"^(VLLM::Worker|ray::RayWorker|VLLM::EngineCore)")
_UNIT = re.compile(r"/(tandem-[^/]+\.service)(?:/|$)", re.MULTILINE)


@dataclass(frozen=True)
class Process:
    """One process: its number, what it calls itself, and the Tandem unit that it belongs to."""

    pid: int
    title: str
    unit: str


def parse_unit(cgroup: str) -> str:
    """Return the Tandem unit in the content of ``/proc/PID/cgroup``, or nothing; cgroup v2 and hybrid layouts."""
    found = _UNIT.search(cgroup)
    return found.group(1) if found else ""


def parse_title(cmdline: bytes) -> str:
    """Return what a process calls itself from the content of ``/proc/PID/cmdline``."""
    return cmdline.rstrip(b"\0 ").replace(b"\0", b" ").decode(errors="replace")


def read_processes(proc_root: Path) -> Iterator[Process]:
    """Yield the processes of Tandem's units; one that ends meanwhile is left out."""
    for directory in proc_root.iterdir():
        if not directory.name.isdecimal():
            continue
        try:
            unit = parse_unit((directory / "cgroup").read_text())
            if unit:
                yield Process(int(directory.name), parse_title((directory / "cmdline").read_bytes()), unit)
        except (FileNotFoundError, ProcessLookupError):
            continue


def ranks(processes: Iterable[Process]) -> list[Process]:
    """Return the processes that hold a rank, by number.

    The core of an engine computes by itself only where it has no workers; else it is not a rank.
    """
    found = sorted((process for process in processes if RANK_TITLE.match(process.title)), key=lambda each: each.pid)
    workers = [process for process in found if "EngineCore" not in process.title]
    return workers or found
