"""Compare the router with others in front of the same stub of an engine, in one run."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.router import fused, processes, table
from benchmarks.router.measure import LOADS, Load, Phase, measure
from benchmarks.router.processes import Usage
from benchmarks.router.routers import OURS, ROUTERS, Router
from tandem.errors import TandemError


def _measured(
    routers: Sequence[Router], rounds: int, seconds: float
) -> tuple[dict[str, dict[Load, list[Phase]]], dict[str, Usage]]:
    """Return what each load came to, and what each router held at the end."""
    results: dict[str, dict[Load, list[Phase]]] = {
        name: {load: [] for load in LOADS} for name in ("direct", *(router.title for router in routers))
    }
    core, other_core = processes.cores()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-router-benchmark-")))
        stub, log = processes.free_port(), directory / "stub.log"
        command = [processes.python(), "-m", "benchmarks.router.stub", str(stub)]
        stack.enter_context(processes.running(command, other_core, log, {}))
        processes.wait_for(stub, "/v1/models", log, "the stub")
        started: dict[str, tuple[int, int | None]] = {"direct": (stub, None)}
        for router in routers:
            port, log = processes.free_port(), directory / f"{router.title}.log"
            command = router.command(port, stub, directory)
            pid = stack.enter_context(processes.running(command, core, log, router.environment))
            processes.wait_for(port, router.ready, log, router.title)
            started[router.title] = (port, pid)
        for name, (where, process) in started.items():
            for kind in ("short", "stream"):  # the first answers load code and fill caches
                measure(where, Load(kind, 8), 3.0, process)
            print(f"warm: {name}", file=sys.stderr, flush=True)
        # All of them run all the time, and take turns: whatever else the machine does hits each alike.
        for number in range(rounds):
            for load in LOADS:
                for name, (where, process) in started.items():
                    results[name][load].append(measure(where, load, seconds, process))
                print(f"round {number + 1} of {rounds}: {load}", file=sys.stderr, flush=True)
        memory = {name: processes.usage(pid) for name, (_, pid) in started.items() if pid is not None}
    return results, memory


def main() -> int:
    """Print the tables; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks/router/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: figures are rough")
    parser.add_argument("--only", action="append", metavar="NAME", help="beside ours only this one; can be repeated")
    arguments = parser.parse_args()
    others = [router for router in ROUTERS if router is not OURS]
    unknown = set(arguments.only or ()) - {router.title for router in others}
    if unknown:
        raise TandemError(f"no router {', '.join(sorted(unknown))}; there are {', '.join(one.title for one in others)}")
    chosen = [OURS, *(one for one in others if arguments.only is None or one.title in arguments.only)]
    rounds, seconds = (1, 2.0) if arguments.quick else (3, 5.0)
    for router in chosen:
        router.install()
    core, other_core = processes.cores()
    if core == other_core:
        print("there is one core only: everything shares it, and latencies are those of a queue", flush=True)
    results, memory = _measured(chosen, rounds, seconds)
    with tempfile.TemporaryDirectory(prefix="tandem-router-benchmark-") as directory:
        answers = fused.measure(Path(directory), 3 * rounds)
    for line in table.lines(results, memory):
        print(line)
    for answer in answers:
        print(answer)
    goals = [*table.goals(results, memory), fused.goal(answers)]
    for goal in goals:
        print(goal)
    return 0 if all(goal.met for goal in goals) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TandemError as error:
        sys.exit(f"error: {error}")
