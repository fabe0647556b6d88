"""Digests remembered by what ``stat`` says, so that an unchanged 140 GB model is read only once.

The cache holds facts about files (these bytes had this digest), not verdicts: it stays true when
the manifest changes. A cache that cannot be read, or whose own checksum is wrong, counts as empty.
What it cannot see is a disk that changes bits without a write: ``tandem weights verify --full``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tandem.weights.tree import FileStat

_FORMAT = "tandem-weights-cache/1"


@dataclass
class DigestCache:
    """Digests of the files of one directory; works in memory where ``path`` cannot be used."""

    directory: Path
    path: Path | None = None
    unsaved: str | None = None
    """Why the sidecar could not be written the last time, if so."""
    _entries: dict[str, tuple[FileStat, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: Path, path: Path | None) -> DigestCache:
        """Read the sidecar of ``directory``; start empty where there is no usable one."""
        cache = cls(directory.resolve(), path)
        if path is not None:
            try:
                cache._entries = _decode(path.read_bytes(), cache.directory)
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                cache._entries = {}
        return cache

    def find(self, name: str, stat: FileStat) -> str | None:
        """Return the digest of ``name`` if it is still the very file that was hashed."""
        known = self._entries.get(name)
        return known[1] if known is not None and known[0] == stat else None

    def replace(self, entries: dict[str, tuple[FileStat, str]]) -> None:
        """Remember ``entries`` and nothing else, here and in the sidecar (atomically)."""
        if entries == self._entries:
            return
        self._entries = entries
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                write_atomically(self.path, _encode(entries, self.directory))
            except OSError as error:
                self.unsaved = f"{self.path}: {error.strerror}"


def cache_path(directory: Path, cache_directory: Path) -> Path:
    """Return the sidecar's name for a model directory."""
    key = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    return cache_directory / f"{key}.json"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``: a reader sees the old file or the new one, never half."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def _encode(entries: dict[str, tuple[FileStat, str]], directory: Path) -> bytes:
    body = {
        "format": _FORMAT,
        "directory": os.fspath(directory),
        "files": {name: {**asdict(stat), "sha256": digest} for name, (stat, digest) in entries.items()},
    }
    return json.dumps({"body": body, "sha256": _checksum(body)}).encode()


def _decode(content: bytes, directory: Path) -> dict[str, tuple[FileStat, str]]:
    document = json.loads(content)
    body = document["body"]
    if document["sha256"] != _checksum(body) or body["format"] != _FORMAT:
        raise ValueError("not a cache of this format")
    if body["directory"] != os.fspath(directory):
        raise ValueError("the cache of another directory")
    return {
        name: (
            FileStat(file["size"], file["mtime_ns"], file["ctime_ns"], file["inode"]),
            file["sha256"],
        )
        for name, file in body["files"].items()
    }


def _checksum(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
