"""The topic `tandem app`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tandem.app.fetch import fetch, is_fetched, lock_pins
from tandem.app.index import Target
from tandem.app.lock import parse_pins, render_lock
from tandem.app.release import App, digest, read_lock
from tandem.errors import TandemError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `app` and its commands."""
    parser = subparsers.add_parser("app", help="build the directories of wheels that nodes install from")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("digest", help="print the digits that name an app's release; changes nothing")
    _add_app(command)
    command.add_argument("--json", action="store_true", help="print a JSON document with the sizes and the state, too")
    command.add_argument("--out-root", type=Path, help="cache to look for the release in, with --json")
    command.set_defaults(handler=_digest)

    command = commands.add_parser("fetch", help="download and build an app's wheels")
    _add_app(command)
    command.add_argument("--out-root", type=Path, required=True, help="cache directory")
    _add_indexes(command)
    command.set_defaults(handler=_fetch)

    command = commands.add_parser("lock", help="write the sha256 of pinned wheels into a lock file")
    command.add_argument("--pins", type=Path, required=True, help="file of name==version lines")
    command.add_argument("--lock", type=Path, required=True, help="file to write")
    command.add_argument("--cache", type=Path, required=True, help="directory that keeps the downloaded wheels")
    _add_target(command)
    _add_indexes(command)
    command.set_defaults(handler=_lock)


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument("--python-version", required=True, help="version of the nodes' interpreter, as 3.11")
    command.add_argument("--platform", default="x86_64", help="machine type of the nodes (default: %(default)s)")


def _add_indexes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--extra-index-url",
        action="append",
        default=[],
        metavar="URL",
        help="package index asked for what pip's own configuration does not offer; may be repeated",
    )


def _add_app(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="name of the app")
    command.add_argument("--lock", default="", help="lock file with hashes; leave out if all is local projects")
    command.add_argument(
        "--project", type=Path, action="append", default=[], help="directory of a local project; may be repeated"
    )
    _add_target(command)


def _app(arguments: argparse.Namespace) -> App:

    lock = Path(arguments.lock) if arguments.lock else None
    return App(arguments.name, lock, tuple(arguments.project), arguments.python_version, arguments.platform)


def _digest(arguments: argparse.Namespace) -> int:

    app = _app(arguments)
    name = digest(app)
    if not arguments.json:
        print(name)
        return 0
    print(json.dumps(_description(app, name, arguments.out_root)))
    return 0


def describe(words: Sequence[str]) -> dict[str, object]:
    """Return what `tandem app digest --json` prints for these words, to who is in a Python already."""
    parser = argparse.ArgumentParser(prog="tandem app digest")
    _add_app(parser)
    parser.add_argument("--out-root", type=Path)
    arguments = parser.parse_args(words)
    app = _app(arguments)
    return _description(app, digest(app), arguments.out_root)


def _description(app: App, name: str, out_root: Path | None) -> dict[str, object]:
    lock = read_lock(app)
    document: dict[str, object] = {
        "digest": name,
        "download_bytes": lock.download_bytes,
        "installed_bytes": lock.installed_bytes,
    }
    if out_root:
        directory = out_root / f"{app.name}-{name}"
        document |= {"directory": str(directory), "fetched": is_fetched(directory)}
    return document


def _fetch(arguments: argparse.Namespace) -> int:

    result = fetch(_app(arguments), arguments.out_root, extra_index_urls=arguments.extra_index_url)
    document = {
        "digest": result.digest,
        "directory": str(result.directory),
        "changed": result.changed,
        "downloaded_bytes": result.downloaded_bytes,
    }
    print(json.dumps(document))
    return 0


def _lock(arguments: argparse.Namespace) -> int:

    try:
        pins = parse_pins(arguments.pins.read_text(encoding="utf-8"), str(arguments.pins))
    except OSError as error:
        raise TandemError(f"cannot read --pins {arguments.pins}: {error.strerror}") from error
    target = Target(arguments.python_version, arguments.platform)
    locked, download, installed = lock_pins(pins, target, arguments.cache, extra_index_urls=arguments.extra_index_url)
    command = f"tandem app lock --pins {arguments.pins.name} --python-version {arguments.python_version}"
    text = render_lock(locked, download_bytes=download, installed_bytes=installed, command=command)
    arguments.lock.write_text(text, encoding="utf-8")
    return 0
