"""Read what ``rocminfo`` prints: the processors and GPUs that programs on ROCm can use."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_AGENT = re.compile(r"Agent (\d+)")
_SIZE = re.compile(r"(\d+)(?:\(0x[0-9a-f]+\))? ?KB")
#: The last words of a whole output.
_END = "*** Done ***"
#: What goes on after the agent's own values; its parts have names and sizes of their own.
_POOLS = "Pool Info"
_ADVICE = (
    ("module is NOT l", "the driver amdgpu is not loaded: look at dmesg, and for nomodeset in /proc/cmdline"),
    ("/dev/kfd read-write: Permission denied", "the user is in no group that may open /dev/kfd (render)"),
    ("/dev/kfd read-write: No such file", "/dev/kfd is not there: the container was not given it, or KFD has no GPU"),
)


class RocminfoError(Exception):
    """The output is none of agents; the message says what rocminfo said, and what that means."""


@dataclass(frozen=True)
class Agent:
    """One processor or GPU. ``bdf`` is bus, device and function in one number."""

    name: str
    marketing_name: str | None
    device_type: str
    bdf: int | None
    is_apu: bool
    compute_units: int | None
    memory_bytes: int | None


def parse_rocminfo(text: str) -> list[Agent]:
    """All agents, processors too."""
    lines = [line.strip() for line in _COLOUR.sub("", text).splitlines()]
    starts = [place for place, line in enumerate(lines) if _AGENT.fullmatch(line)]
    if not starts:
        raise RocminfoError(explain(lines))
    if _END not in lines:
        raise RocminfoError(f"its output ends early, with {next((line for line in reversed(lines) if line), '')!r}")
    ends = [*starts[1:], len(lines)]
    return [_agent(lines[start:end]) for start, end in zip(starts, ends)]  # noqa: B905 (nodes may have Python 3.9)


def explain(lines: list[str]) -> str:
    """What rocminfo said instead of agents."""
    said = "; ".join(_COLOUR.sub("", line) for line in lines if line) or "it printed nothing"
    advice = next((words for mark, words in _ADVICE if mark in said), None)
    return f"{said} ({advice})" if advice else said


def _agent(lines: list[str]) -> Agent:
    own: dict[str, str] = {}
    pools: list[tuple[str, str]] = []
    in_pools = False
    for line in lines:
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        in_pools = in_pools or key == _POOLS
        if in_pools:
            pools.append((key, value))
        else:
            own.setdefault(key, value)
    if "Name" not in own or "Device Type" not in own:
        raise RocminfoError(f"{lines[0]} has no name or no device type")
    return Agent(
        name=own["Name"],
        marketing_name=own.get("Marketing Name") or None,
        device_type=own["Device Type"],
        bdf=_number(own.get("BDFID")),
        is_apu="APU" in own.get("Memory Properties", "").split(),
        compute_units=_number(own.get("Compute Unit")),
        memory_bytes=_memory(pools),
    )


def _memory(pools: list[tuple[str, str]]) -> int | None:
    """The largest pool of global memory. The others are views of the same memory, or the chip's own."""
    sizes, segment = [], ""
    for key, value in pools:
        if key == "Segment":
            segment = value
        elif key == "Size" and segment.startswith("GLOBAL"):
            match = _SIZE.match(value)
            sizes.append(int(match[1]) * 1024 if match else 0)
    return max(sizes, default=0) or None


def _number(text: str | None) -> int | None:
    match = re.match(r"\d+", text or "")
    return int(match[0]) if match else None
