"""How much longer a fused answer takes than what it is made of: the slowest needed member, the judge, the synthesis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.router import processes
from benchmarks.router.routers import ROOT
from benchmarks.router.table import Goal
from tandem.errors import TandemError

#: Two of the three members are needed, so the last is cancelled.
MEMBERS, JUDGE = ("after-300", "after-500", "after-9000"), "after-400"
NEEDED = MEMBERS[1]
CONNECTIONS = (1, 32)
MAX_ADDED_SHARE = 0.05


@dataclass(frozen=True)
class Fused:
    """Median times of answers. `parts_ms` is the sum of what was asked of the engines directly, one after another."""

    stream: bool
    connections: int
    whole_ms: float
    parts_ms: float

    @property
    def added_share(self) -> float:
        """Return what was added, as a share of the parts."""
        return self.whole_ms / self.parts_ms - 1

    def __str__(self) -> str:
        """Return the line."""
        kind = "streamed" if self.stream else "whole"
        return (
            f"fused, {kind:<9}{self.connections:>3} connections: {self.whole_ms:7.1f} ms; slowest needed member + judge"
            f" + synthesis: {self.parts_ms:7.1f} ms; added {self.added_share:.1%}"
        )


def measure(directory: Path, rounds: int) -> list[Fused]:
    """Start engines and the router, and ask each of them."""
    core, other_core = processes.cores()
    with contextlib.ExitStack() as stack:
        members, router = processes.free_port(), processes.free_port()
        engines = [processes.python(), "-m", "benchmarks.router.members", str(members)]
        for port, command, where in (
            (members, engines, other_core),
            (router, _router(directory, router, members), core),
        ):
            log = directory / f"fused-{port}.log"
            stack.enter_context(processes.running(command, where, log, {}))
            processes.wait_for(port, "/health", log, command[2])
        return uvloop.run(_all(members, router, rounds))


async def _all(members: int, router: int, rounds: int) -> list[Fused]:
    found = []
    for stream in (False, True):
        for connections in CONNECTIONS:
            parts = [(NEEDED, False), (JUDGE, False), (JUDGE, stream)]
            parts_ms = sum([await _median_ms(members, *part, connections, rounds) for part in parts])
            whole_ms = await _median_ms(router, "vllm-sr/fusion", stream, connections, rounds)
            found.append(Fused(stream, connections, whole_ms, parts_ms))
    return found


async def _median_ms(port: int, model: str, stream: bool, connections: int, rounds: int) -> float:
    times: list[float] = []
    for _ in range(rounds):
        times += await asyncio.gather(*(_ask_ms(port, model, stream) for _ in range(connections)))
    return statistics.median(times)


async def _ask_ms(port: int, model: str, stream: bool) -> float:
    message = {"role": "user", "content": "Which of the two is better, and why?"}
    body = json.dumps({"model": model, "stream": stream, "messages": [message]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = time.perf_counter()
    writer.write(head.encode() + body)
    try:
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length" in answer:
            rest = await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        else:
            rest = await reader.readuntil(b"\r\n0\r\n\r\n")
        taken_ms = (time.perf_counter() - begun) * 1000
    finally:
        writer.close()
    if not answer.startswith(b"http/1.1 200") or b'"error"' in rest:
        raise TandemError(f"{model} was answered with {(answer + rest)[:500]!r}")
    return taken_ms


def _router(directory: Path, port: int, members: int) -> list[str]:
    names = (*MEMBERS, JUDGE)
    backend = {"name": "members", "endpoint": f"127.0.0.1:{members}"}
    algorithm = {"type": "fusion", "fusion": {"model": JUDGE, "min_successful_responses": 2}}
    decision = {
        "name": "panel",
        "priority": 1,
        "modelRefs": [{"model": name} for name in MEMBERS],
        "algorithm": algorithm,
        "annotations": {"tandem": {"panel_grace_seconds": 0}},
    }
    config = {
        "version": "v0.3",
        "listeners": [{"name": "http", "address": "127.0.0.1", "port": port, "timeout": "300s"}],
        "providers": {"models": [{"name": name, "backend_refs": [backend]} for name in names]},
        "routing": {"decisions": [decision]},
    }
    path = directory / "fused.yaml"
    path.write_text(json.dumps(config))
    return [str(ROOT / ".venv/bin/tandem"), "router", "serve", str(path), "--log-format", "json"]


def goal(found: Sequence[Fused]) -> Goal:
    """Return what was promised, and what came of it."""
    added = max(each.added_share for each in found if each.connections == 1)
    words = f"fused: {added:.1%} more than slowest needed member, judge and synthesis (at most 5 %)"
    return Goal(words, added <= MAX_ADDED_SHARE)
