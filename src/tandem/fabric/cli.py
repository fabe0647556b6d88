"""``tandem fabric``: the verdicts of the fabric gate, as text or as a page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tandem.errors import TandemError

#: Below the directory in which playbooks are run: one directory for each inventory.
RESULTS = ".tandem/*/fabric"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``fabric`` command and its actions."""
    parser = subparsers.add_parser("fabric", help="show what the fabric gate measured")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    show = actions.add_parser(
        "show", help="print the verdicts; the status is 1 if serving is refused on a link, 2 if there is none to show"
    )
    _add_results(show)
    show.add_argument("--json", action="store_true", help="print the documents")
    show.set_defaults(handler=_show)

    report = actions.add_parser("report", help="write one page with plots of latency and bandwidth")
    _add_results(report)
    report.add_argument(
        "--output", type=Path, metavar="FILE", help="the page (default: fabric.html beside the verdicts' directory)"
    )
    report.set_defaults(handler=_report)


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help=f"directory of verdicts (default: the newest {RESULTS})"
    )


def _show(arguments: argparse.Namespace) -> int:
    from tandem.fabric import report, store

    verdicts = store.read_all(_directory(arguments.results))
    if arguments.json:
        print(json.dumps(verdicts, indent=2))
    else:
        print("\n\n".join("\n".join(report.summary_lines(verdict)) for verdict in verdicts))
    return 0 if all(verdict["serving_allowed"] for verdict in verdicts) else 1


def _report(arguments: argparse.Namespace) -> int:
    from tandem.fabric import store

    directory = _directory(arguments.results)
    verdicts = store.read_all(directory)
    # Plots need more than the standard library: not before there is something to plot.
    from tandem.fabric import html

    page = html.render(verdicts)
    output = arguments.output or directory.parent / "fabric.html"
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise TandemError(f"{output} cannot be written: {error.strerror}; give another --output") from error
    print(output)
    return 0


def _directory(given: Path | None) -> Path:
    """Return the directory of verdicts; of several inventories the one that was measured last."""
    from tandem.fabric import store

    if given is not None:
        if not given.is_dir():
            raise TandemError(f"there is no directory {given}; {store.HOW_TO_MEASURE}, or correct --results")
        return given
    found = [path for path in Path().glob(RESULTS) if path.is_dir()]
    if not found:
        raise TandemError(f"there is no {Path.cwd() / RESULTS}; {store.HOW_TO_MEASURE}, or give --results")
    return max(found, key=_measured_at)


def _measured_at(directory: Path) -> float:
    return max((path.stat().st_mtime for path in directory.glob("*.json")), default=0.0)
