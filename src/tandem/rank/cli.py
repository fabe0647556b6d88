"""`tandem rank serve` and `tandem rank status`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.rank.config import ConfigError, load_config
from tandem.rank.notify import Notifier
from tandem.rank.policy import State
from tandem.rank.serve import REFUSED, serve
from tandem.rank.state import read_state, state_path

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `rank` commands."""
    parser = subparsers.add_parser("rank", help="run one engine's process group on this node")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    serving = verbs.add_parser(
        "serve",
        help="supervise this node's rank; the main process of tandem-engine@.service",
        description="Exit 0: stopped as asked; 1: this generation failed, try again; 78: configuration, "
        "credentials, weights or the fabric are not as they must be, and another try would fail in the same way.",
    )
    status = verbs.add_parser(
        "status",
        help="print what the supervisor last said",
        description="Print the state as JSON. Exit 0: ready; 1: anything else; 2: nothing is known.",
    )
    for verb in (serving, status):
        verb.add_argument("--config", type=Path, required=True, metavar="FILE", help="rank.json of the engine")
    serving.set_defaults(handler=_serve)
    status.set_defaults(handler=_status)


def _serve(arguments: argparse.Namespace) -> int:
    try:
        config = load_config(arguments.config)
    except ConfigError as error:
        Notifier(os.environ).send(STATUS=str(error))
        print(error, file=sys.stderr)
        return REFUSED
    return asyncio.run(serve(config, os.environ))


def _status(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    document = read_state(config.engine, os.environ)
    if not document:
        print(f"{state_path(config.engine, os.environ)}: nothing known; was the unit ever started?", file=sys.stderr)
        return 2
    print(json.dumps(document, indent=2))
    return 0 if document.get("state") == State.READY else 1
