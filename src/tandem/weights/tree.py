"""What a model directory holds: the only place that looks at it besides the hashing itself."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class FileStat:
    """What must stay the same for a file to count as unchanged since it was hashed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, result: os.stat_result) -> FileStat:
        """Take the four values from a stat result."""
        return cls(result.st_size, result.st_mtime_ns, result.st_ctime_ns, result.st_ino)


@dataclass(frozen=True)
class Entry:
    """One name in the tree: either a usable file (``stat``) or a reason why it is none."""

    name: str
    stat: FileStat | None = None
    refusal: str | None = None


def scan(directory: Path, *, leave_out: Path | None = None) -> dict[str, Entry]:
    """Return every file below ``directory`` by relative name, hidden ones (``.cache``) left out.

    ``leave_out`` is a manifest kept inside the directory it describes. A symbolic link counts as
    the file it names as long as that file is inside the directory: links that lead out of it are
    what a plain copy of a hub cache leaves behind, and they dangle on the next node.
    """
    root = directory.resolve(strict=True)
    if not root.is_dir():
        raise NotADirectoryError(f"{directory} is not a directory")
    unwanted = leave_out.resolve() if leave_out is not None else None
    return {entry.name: entry for entry in _walk(root, root) if unwanted is None or root / entry.name != unwanted}


def _walk(root: Path, directory: Path) -> Iterator[Entry]:
    for item in sorted(directory.iterdir()):
        if item.name.startswith("."):
            continue
        if item.is_dir() and not item.is_symlink():
            yield from _walk(root, item)
        else:
            yield inspect(root, str(item.relative_to(root)))


def inspect(root: Path, name: str) -> Entry:
    """Look at one file below the resolved directory ``root``."""
    path = root / name
    try:
        target = path.resolve(strict=True)
        result = path.stat()
    except (OSError, RuntimeError) as error:
        if path.is_symlink():
            return Entry(name, refusal=f"a symbolic link to nothing ({path.readlink()})")
        return Entry(name, refusal=getattr(error, "strerror", None) or str(error))
    if not target.is_relative_to(root):
        return Entry(name, refusal=f"a symbolic link out of the directory (to {target})")
    if not stat.S_ISREG(result.st_mode):
        return Entry(name, refusal="not a regular file")
    return Entry(name, stat=FileStat.of(result))
