"""``tandem ask``: one question, one streamed answer."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``ask`` command."""
    parser = subparsers.add_parser("ask", help="ask a served model one question")
    parser.add_argument("prompt", metavar="PROMPT")
    parser.add_argument("-i", "--inventory", type=Path, required=True, metavar="DIR")
    parser.add_argument("--engine", metavar="NAME", help="one of vllm_engine_engines (default: the first)")
    parser.add_argument(
        "--max-tokens", type=int, default=200, metavar="N", help="longest answer (default: %(default)s)"
    )
    parser.set_defaults(handler=_ask)


def _ask(arguments: argparse.Namespace) -> int:
    from tandem.ask import chat, endpoint, tunnel

    target = endpoint.find(endpoint.read_inventory(arguments.inventory), arguments.engine)
    key = tunnel.read_key(target)
    with tunnel.connect(target) as connection:
        asked = time.monotonic()
        first: float | None = None
        parts = 0
        for text in chat.ask(
            connection, key=key, model=target.model, prompt=arguments.prompt, max_tokens=arguments.max_tokens
        ):
            first = first or time.monotonic()
            parts += 1
            sys.stdout.write(text)
            sys.stdout.flush()
        ended = time.monotonic()
    print()
    if first is not None:
        speed = f", {(parts - 1) / (ended - first):.1f} parts/s" if parts > 1 else ""
        print(
            f"[{target.model} on {target.node}: first part after {1000 * (first - asked):.0f} ms{speed}]",
            file=sys.stderr,
        )
    return 0
