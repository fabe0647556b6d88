"""The `tandem` command: picks the topic and imports nothing else."""

from __future__ import annotations

import argparse
import importlib
import os
import select
import signal
import sys
from typing import TYPE_CHECKING

from tandem import __version__
from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Sequence

# One line per topic: name, module with add_parser(subparsers), help. `add_parser` adds the parser of that name and sets
# the default `handler`, a function from the parsed arguments to the exit status. Handlers import their heavy parts.
TOPICS: tuple[tuple[str, str, str], ...] = (
    ("app", "tandem.app.cli", "build the directories of wheels that nodes install from"),
    ("ask", "tandem.ask.cli", "ask a served model one question"),
    ("drift", "tandem.drift.cli", "say what differs between the inventory and the nodes, and repair it"),
    ("fabric", "tandem.fabric.cli", "show what the fabric gate measured"),
    ("inventory", "tandem.inventory.cli", "check an inventory before a node changes"),
    ("lab", "tandem.lab.cli", "make what the lab needs"),
    ("plan", "tandem.plan.cli", "say whether a model fits on some nodes, and how fast it can be"),
    ("rank", "tandem.rank.cli", "run one engine's process group on this node"),
    ("router", "tandem.router.cli", "check the configuration of the router, and serve it"),
    ("weights", "tandem.weights.cli", "list, verify and download model weights"),
)


def build_parser(topic: str | None) -> argparse.ArgumentParser:
    """Return the parser with `topic` in full and every other topic as a line of the help."""
    parser = argparse.ArgumentParser(
        prog="tandem", description="Serve one language model from several linked machines."
    )
    parser.add_argument("--version", action="version", version=f"tandem {__version__}")
    subparsers = parser.add_subparsers(dest="topic", metavar="TOPIC", required=True)
    for name, module, summary in TOPICS:
        if name == topic:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 2 for an error the user can put right."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    topic = next((argument for argument in arguments if not argument.startswith("-")), None)
    try:
        parsed = build_parser(topic).parse_args(arguments)
        status = int(parsed.handler(parsed))
        sys.stdout.flush()
    except TandemError as error:
        print(f"tandem: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tandem: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _output_is_gone():
            raise
        return 128 + signal.SIGPIPE
    return status


def _output_is_gone() -> bool:
    """Tell whether nobody reads our output any more, as after `| head`; what is left of it then goes nowhere."""
    output = select.poll()
    output.register(sys.stdout, 0)
    gone = bool(output.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone
