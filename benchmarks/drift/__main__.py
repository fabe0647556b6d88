"""Look for drift on two nodes and on eight, warm and by plain SSH, and say what it costs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.drift import inventory, measure, table
from tandem.errors import TandemError

PROJECT = Path(__file__).parents[2]


def _play(where: Path, *words: str) -> None:
    argv = ["ansible-playbook", "-i", str(where), *words]
    done = subprocess.run(argv, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TandemError(f"{' '.join(argv)} failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")


@contextmanager
def _nodes(where: Path) -> Iterator[None]:
    """Make the nodes, and remove them whatever happens."""
    try:
        _play(where, "playbooks/lab/create.yml")
        yield
    finally:
        _play(where, "playbooks/lab/destroy.yml")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Print the table; 1 if drift was found on nodes that were just converged."""
    parser = argparse.ArgumentParser(prog="benchmarks/drift/run.sh", description=__doc__)
    parser.add_argument("--nodes", type=int, default=8, help="how many (default: %(default)s, beside two)")
    parser.add_argument("--no-plain", action="store_true", help="leave out plain SSH, which takes minutes")
    arguments = parser.parse_args()
    place = PROJECT / ".cache" / "benchmarks" / "drift"
    state = place / "state"
    model = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem/models/smollm2-135m-instruct"
    counts = sorted({2, arguments.nodes})
    for count in counts:
        inventory.write(place / f"of-{count}", count, PROJECT, state, model)
    everything = place / f"of-{counts[-1]}"
    _say(f"making {counts[-1]} nodes")
    costs = []
    with _nodes(everything):
        for count in counts:
            _say(f"bringing {count} to what their inventory says")
            _play(place / f"of-{count}", "site.yml")
            names = [f"node{number}" for number in range(1, count + 1)]
            for warm in (True,) if arguments.no_plain else (True, False):
                cost = measure.drift(place / f"of-{count}", names, state / "ssh_config", warm=warm)
                costs.append(cost)
                _say(table.line(cost))
    print("\n".join(table.lines(costs)))
    return 0 if all(cost.status == 0 for cost in costs) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TandemError as error:
        sys.exit(f"error: {error}")
