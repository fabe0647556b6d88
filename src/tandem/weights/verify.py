"""Compare a model directory with its manifest, and make such a manifest."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.weights.cache import DigestCache
from tandem.weights.hashing import Hashed, Progress, hash_files
from tandem.weights.manifest import parse_manifest
from tandem.weights.tree import Entry, FileStat, inspect, scan

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

WEIGHT_SUFFIXES = (".safetensors", ".bin", ".gguf", ".pt", ".pth")

_ADVICE = {
    "missing": "copy the model again, or run the playbook for the weights",
    "mismatch": "copy this file again from a node on which it verifies",
    "empty": "the copy broke off (disk full?); copy this file again",
    "extra": "remove it, or write the manifest again if it belongs to the model",
    "refused": "copy real files, not links (rsync --copy-links, hf download --local-dir)",
}


class UnusableTreeError(Exception):
    """A directory for which no manifest can be made; one line per file."""


@dataclass(frozen=True)
class Problem:
    """One file that is not what the manifest says."""

    file: str
    kind: str
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        """Say what is wrong and what to do, on one line."""
        expected = f", expected {self.expected}" if self.expected else ""
        found = f", found {self.found}" if self.found else ""
        return f"{self.file!r}: {self.kind}{expected}{found}: {_ADVICE[self.kind]}"


@dataclass(frozen=True)
class Report:
    """The outcome of one verification."""

    files: int
    bytes: int
    hashed_bytes: int
    problems: tuple[Problem, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """True where every file is what the manifest says and nothing else is there."""
        return not self.problems


def compare_names(expected: Mapping[str, str], found: Mapping[str, Entry]) -> list[Problem]:
    """Return what is wrong before any file is read: missing, extra, empty, not a real file."""
    problems = [Problem(name, "missing", expected[name], None) for name in expected.keys() - found]
    for name, entry in found.items():
        if name not in expected:
            problems.append(Problem(name, "extra", None, entry.refusal))
        elif entry.stat is None:
            problems.append(Problem(name, "refused", expected[name], entry.refusal))
        elif entry.stat.size == 0 and not _may_be_empty(name, expected[name]):
            problems.append(Problem(name, "empty", expected[name], "0 bytes"))
    return sorted(problems, key=lambda problem: problem.file)


def compare_digests(expected: Mapping[str, str], found: Mapping[str, Hashed]) -> list[Problem]:
    """Return the files whose content differs from the manifest or could not be read."""
    problems = []
    for name, hashed in sorted(found.items()):
        if hashed.digest is None:
            problems.append(Problem(name, "refused", expected[name], hashed.refusal))
        elif hashed.digest != expected[name]:
            problems.append(Problem(name, "mismatch", expected[name], hashed.digest))
    return problems


def verify(
    directory: Path,
    manifest: Path,
    *,
    cache: DigestCache | None = None,
    full: bool = False,
    progress: Progress = lambda _: None,
    cancel: threading.Event | None = None,
    racy_window_sec: float = 2.0,
) -> Report:
    """Compare ``directory`` with ``manifest``; ``full`` reads every file whatever the cache says.

    Raises OSError or ManifestError where the directory or the manifest itself is unusable.
    """
    started = time.monotonic()
    root = directory.resolve(strict=True)
    expected = parse_manifest(manifest.read_bytes())
    cache = cache or DigestCache(root)
    found = scan(directory, leave_out=manifest)
    # Hidden files are nobody's business unless the manifest lists them.
    for name in expected.keys() - found:
        if (root / name).is_symlink() or (root / name).exists():
            found[name] = inspect(root, name)
    problems = compare_names(expected, found)
    settled = {problem.file for problem in problems}
    to_check = {name: entry.stat for name, entry in found.items() if entry.stat is not None and name not in settled}
    hashed: dict[str, Hashed] = {}
    to_read: dict[str, FileStat] = {}
    for name, stat in to_check.items():
        digest = None if full else cache.find(name, stat)
        if digest is None:
            to_read[name] = stat
        else:
            hashed[name] = Hashed(digest=digest, settled=True)
    hashed |= hash_files(root, to_read, progress=progress, cancel=cancel, racy_window_sec=racy_window_sec)
    cache.replace(
        {
            name: (to_check[name], result.digest)
            for name, result in hashed.items()
            if result.digest is not None and result.settled
        }
    )
    return Report(
        files=len(to_check),
        bytes=sum(stat.size for stat in to_check.values()),
        hashed_bytes=sum(stat.size for stat in to_read.values()),
        problems=tuple(problems + compare_digests(expected, hashed)),
        seconds=round(time.monotonic() - started, 3),
    )


def make_manifest(
    directory: Path, *, leave_out: Path | None = None, progress: Progress = lambda _: None
) -> dict[str, str]:
    """Return the digests of every file below ``directory``, or raise UnusableTreeError."""
    found = scan(directory, leave_out=leave_out)
    files = {name: entry.stat for name, entry in found.items() if entry.stat is not None}
    refusals = [f"{name!r} is {entry.refusal}" for name, entry in found.items() if entry.stat is None]
    refusals += [
        f"{name!r} is a weight file of 0 bytes"
        for name, stat in files.items()
        if stat.size == 0 and name.endswith(WEIGHT_SUFFIXES)
    ]
    if not found:
        refusals = [f"{directory} holds no files"]
    if refusals:
        raise UnusableTreeError("\n".join(sorted(refusals)))
    digests: dict[str, str] = {}
    for name, result in hash_files(directory.resolve(), files, progress=progress).items():
        if result.digest is None:
            raise UnusableTreeError(f"{name!r} {result.refusal}")
        digests[name] = result.digest
    return digests


def _may_be_empty(name: str, digest: str) -> bool:
    return digest == hashlib.sha256().hexdigest() and not name.endswith(WEIGHT_SUFFIXES)
