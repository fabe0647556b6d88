"""``tandem weights manifest`` and ``tandem weights verify``."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.weights.cache import DigestCache, cache_path, write_atomically
from tandem.weights.manifest import ManifestError, render_manifest
from tandem.weights.verify import Report, UnusableTreeError, make_manifest, verify

if TYPE_CHECKING:
    import argparse

OK, MISMATCH, USAGE = 0, 1, 2
CACHE_DIRECTORY = Path("/var/lib/tandem/weights-cache")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``weights`` commands."""
    parser = subparsers.add_parser("weights", help="checksums of a model directory")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    listing = verbs.add_parser(
        "manifest",
        help="write the sha256 of every file",
        description="Write sorted sha256sum lines for every file below DIR. Hidden files and "
        "directories (.cache, .gitattributes) are left out.",
    )
    listing.add_argument("directory", type=Path, metavar="DIR")
    listing.add_argument("--out", type=Path, required=True, metavar="FILE")
    listing.set_defaults(handler=_manifest)

    check = verbs.add_parser(
        "verify",
        help="compare a directory with its manifest",
        description="Exit 0: every file is as listed and no other is there; 1: it is not, each "
        "file named; 2: the directory or the manifest cannot be used.",
    )
    check.add_argument("directory", type=Path, metavar="DIR")
    check.add_argument("--manifest", type=Path, required=True, metavar="FILE")
    check.add_argument("--full", action="store_true", help="read every file, whatever the cache says")
    check.add_argument(
        "--cache",
        type=Path,
        metavar="FILE",
        help=f"digests of unchanged files (default: a file per directory in {CACHE_DIRECTORY})",
    )
    check.add_argument("--json", action="store_true", help="print a JSON document")
    check.set_defaults(handler=_verify)


def _manifest(arguments: argparse.Namespace) -> int:
    directory, out = arguments.directory, arguments.out
    try:
        digests = make_manifest(directory, leave_out=out, progress=_ProgressLine().add)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, render_manifest(digests))
    except UnusableTreeError as error:
        print(f"{directory}: no manifest written:\n{error}", file=sys.stderr)
        return MISMATCH
    except OSError as error:
        print(f"{error.filename or directory}: {error.strerror or error}", file=sys.stderr)
        return USAGE
    print(f"{out}: {len(digests)} files")
    return OK


def _verify(arguments: argparse.Namespace) -> int:
    directory, manifest = arguments.directory, arguments.manifest
    sidecar = arguments.cache or cache_path(directory, CACHE_DIRECTORY)
    try:
        cache = DigestCache.load(directory, sidecar)
        report = verify(directory, manifest, cache=cache, full=arguments.full, progress=_ProgressLine().add)
    except ManifestError as error:
        print(f"{manifest}: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"{error.filename or directory}: {error.strerror or error}", file=sys.stderr)
        return USAGE
    if cache.unsaved is not None:
        print(f"digests not remembered for the next time: {cache.unsaved}", file=sys.stderr)
    _print_report(directory, report, as_json=arguments.json)
    return OK if report.ok else MISMATCH


def _print_report(directory: Path, report: Report, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ok": report.ok, **asdict(report)}))
        return
    for problem in report.problems:
        print(f"{directory}: {problem}", file=sys.stderr)
    verdict = "verified" if report.ok else f"{len(report.problems)} problems"
    print(
        f"{directory}: {verdict}: {report.files} files, {report.bytes / 1e9:.2f} GB "
        f"({report.hashed_bytes / 1e9:.2f} GB read) in {report.seconds:.1f} s"
    )


class _ProgressLine:
    """A line on stderr every few seconds, so that nobody takes a long read for a hang."""

    interval_sec = 5.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0
        self._started = self._shown = time.monotonic()

    def add(self, count: int) -> None:
        """Count bytes; called from the reading threads."""
        with self._lock:
            self._bytes += count
            now = time.monotonic()
            if now - self._shown < self.interval_sec:
                return
            self._shown = now
            elapsed = now - self._started
            print(
                f"{self._bytes / 1e9:.1f} GB read, {elapsed:.0f} s, {self._bytes / 1e6 / elapsed:.0f} MB/s",
                file=sys.stderr,
                flush=True,
            )
