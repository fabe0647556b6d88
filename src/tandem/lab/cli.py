"""The topic `tandem lab`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.lab.model import make_model

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `lab` and its commands."""
    parser = subparsers.add_parser("lab", help="make what the lab needs")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("model", help="make the small model that the lab serves")
    command.add_argument("--out", type=Path, required=True, help="directory to make")
    command.add_argument(
        "--cache", type=Path, default=_cache(), help="directory for the download (default: %(default)s)"
    )
    command.set_defaults(handler=_model)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem"


def _model(arguments: argparse.Namespace) -> int:
    changed = make_model(arguments.out.absolute(), arguments.cache.absolute())
    print(json.dumps({"directory": str(arguments.out.absolute()), "changed": changed}))
    return 0
