"""Whether the files below a directory are still those that were put there."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Python writes there whenever root imports something.
_IGNORED = "__pycache__"
_CHUNK_BYTES = 1 << 20
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


@dataclass(frozen=True)
class Entry:
    """What is known of one name. `content` is the digest of a file, or what a link points to."""

    kind: str
    mode: int
    uid: int
    gid: int
    size_bytes: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    content: str = ""

    @property
    def stamp(self) -> tuple[int, ...]:
        """What changes whenever the content does, and sometimes when it does not."""
        return (self.size_bytes, self.mtime_ns, self.ctime_ns, self.inode)


def record(root: Path, left_out: frozenset[str]) -> dict[str, Entry]:
    """Return everything below a directory, by path, with the digests of all files. Raises OSError.

    Args:
        root: The directory.
        left_out: Names directly below it that are not looked at.
    """
    return {name: _with_content(root / name, entry) for name, entry in _walk(root, left_out)}


def differences(root: Path, left_out: frozenset[str], known: Mapping[str, Entry]) -> list[str]:
    """Return what is not as it was recorded, a line each, sorted by path. Reads only files that were touched.

    Raises:
        OSError: Something cannot be read.
    """
    found = dict(_walk(root, left_out))
    lines = dict.fromkeys(known.keys() - found.keys(), "missing")
    for name, entry in found.items():
        if name not in known:
            lines[name] = "added"
        elif difference := _difference(root / name, entry, known[name]):
            lines[name] = difference
    return [f"{name}: {lines[name]}" for name in sorted(lines)]


def dump(entries: Mapping[str, Entry]) -> str:
    """Return the text that `load` reads."""
    return json.dumps({name: list(asdict(entry).values()) for name, entry in entries.items()})


def load(text: str) -> dict[str, Entry]:
    """Return what was recorded. Raises ValueError and TypeError for a text that is no record."""
    return {name: Entry(*values) for name, values in dict(json.loads(text)).items()}


def _walk(root: Path, left_out: frozenset[str]) -> Iterator[tuple[str, Entry]]:
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(root / below) as listing:
            for found in listing:
                if found.name == _IGNORED or (not below and found.name in left_out):
                    continue
                name = f"{below}/{found.name}" if below else found.name
                seen = found.stat(follow_symlinks=False)
                kind = _KINDS.get(stat.S_IFMT(seen.st_mode), "special file")
                mode = stat.S_IMODE(seen.st_mode)
                if kind == "directory":
                    waiting.append(name)
                    yield name, Entry(kind, mode, seen.st_uid, seen.st_gid)
                    continue
                times = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
                yield name, Entry(kind, mode, seen.st_uid, seen.st_gid, *times)


def _difference(path: Path, now: Entry, before: Entry) -> str:
    if now.kind != before.kind:
        return f"{now.kind}, was {before.kind}"
    if now.mode != before.mode:
        return f"mode {now.mode:04o}, was {before.mode:04o}"
    if (now.uid, now.gid) != (before.uid, before.gid):
        return f"owner {now.uid}:{now.gid}, was {before.uid}:{before.gid}"
    if now.stamp != before.stamp and _with_content(path, now).content != before.content:
        return "other content"
    return ""


def _with_content(path: Path, entry: Entry) -> Entry:
    if entry.kind == "link":
        return Entry(**{**asdict(entry), "content": str(path.readlink())})
    if entry.kind != "file":
        return entry
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return Entry(**{**asdict(entry), "content": digest.hexdigest()})
