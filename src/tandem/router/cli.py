"""``tandem router``: the front of all engines."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.errors import TandemError

if TYPE_CHECKING:
    from tandem.router.config.load import Loaded


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``router`` commands."""
    parser = subparsers.add_parser("router", help="check the configuration of the router")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="say everything that is wrong in a configuration",
        description="Read a configuration of vLLM Semantic Router (version v0.3, release 0.4.0) as this router would, "
        "and say everything that is wrong in it or not supported, with lines. The status is 0 for a file that can be "
        "served, else 2.",
    )
    check.add_argument("config", type=Path, metavar="CONFIG", help="the file")
    check.add_argument("--json", action="store_true", help="print a document with the problems")
    check.set_defaults(handler=_check)


def _check(arguments: argparse.Namespace) -> int:
    loaded = _load(arguments.config)
    file = str(arguments.config)
    if arguments.json:
        problems = [
            {"line": problem.line, "path": problem.path, "found": problem.found, "remedy": problem.remedy}
            for problem in loaded.problems
        ]
        print(json.dumps({"file": file, "valid": loaded.config is not None, "problems": problems}, indent=2))
    elif loaded.config is None:
        for problem in loaded.problems:
            print(problem.render(file), file=sys.stderr)
    else:
        models, decisions = loaded.config.providers.models, loaded.config.routing.decisions
        print(f"{file}: fine ({len(models)} models, {len(decisions)} decisions)")
    return 0 if loaded.config else 2


def _load(path: Path) -> Loaded:
    try:
        from tandem.router.config import tree
        from tandem.router.config.load import Loaded, load
        from tandem.router.config.problems import Problem
    except ModuleNotFoundError as error:
        raise TandemError(
            f"the router needs {error.name}, which is not installed here: install tandem with its extra, tandem[router]"
        ) from error

    try:
        with path.open("rb") as file:
            # One byte more than allowed shows that there is too much; a device has no end.
            return load(file.read(tree.MAX_BYTES + 1))
    except OSError as error:
        found = f"no file that can be read ({error.strerror or error})"
        return Loaded(None, (Problem(0, "", found, "name the configuration"),))
