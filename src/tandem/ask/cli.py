"""``tandem ask``: one question, one streamed answer."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``ask`` command."""
    parser = subparsers.add_parser("ask", help="ask a served model one question")
    parser.add_argument("prompt", metavar="PROMPT")
    parser.add_argument("-i", "--inventory", type=Path, required=True, metavar="DIR")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--engine", metavar="NAME", help="one of vllm_engine_engines (default: the first)")
    asked.add_argument(
        "--router", nargs="?", const="auto", metavar="MODEL", help="ask the router, for this model (default: %(const)s)"
    )
    parser.add_argument(
        "--max-tokens", type=int, default=200, metavar="N", help="longest answer (default: %(default)s)"
    )
    parser.set_defaults(handler=_ask)


def _ask(arguments: argparse.Namespace) -> int:
    from tandem.ask import chat, endpoint, tunnel

    facts = endpoint.read_inventory(arguments.inventory)
    if arguments.router:
        target = endpoint.find_router(facts, arguments.router)
    else:
        target = endpoint.find(facts, arguments.engine)
    key = tunnel.read_key(target)
    with tunnel.connect(target) as connection:
        asked = time.monotonic()
        first: float | None = None
        parts = 0
        for text in chat.ask(
            connection,
            key=key,
            model=target.model,
            prompt=arguments.prompt,
            max_tokens=arguments.max_tokens,
            hear=_tell,
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


def _tell(name: str, data: dict[str, Any]) -> None:
    """Print what the router chose, and how members of its panel did."""
    model, latency = data.get("model"), data.get("latency_sec")
    if name == "selected":
        words = f"decision {data.get('decision', 'none')} ({data.get('algorithm', 'direct')}): {model}"
    elif name == "panel.member":
        took = f" after {latency:.1f} s" if isinstance(latency, (int, float)) else ""
        words = f"panel: {model} {data.get('outcome')}{took}"
    elif name == "judge.done":
        words = f"judge: {model} {data.get('outcome')}"
    else:
        return
    print(f"[{words}]", file=sys.stderr, flush=True)
