"""Which of several files differ from what they should hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class FilesError(Exception):
    """A file cannot be managed; the message is meant for a person."""


@dataclass(frozen=True)
class File:
    """A file before and after; None where there is none."""

    path: Path
    before: str | None
    after: str | None
    mode_before: int | None
    mode_after: int
    owner_before: str | None
    owner_after: str

    @property
    def differs(self) -> bool:
        """Whether the file must be written or removed."""
        if self.after is None:
            return self.before is not None
        before = (self.before, self.mode_before, self.owner_before)
        return before != (self.after, self.mode_after, self.owner_after)

    def diff(self) -> dict[str, str]:
        """Return the file for Ansible's --diff."""
        shown = {
            "before_header": str(self.path) if self.before is not None else f"{self.path} (absent)",
            "after_header": str(self.path) if self.after is not None else f"{self.path} (absent)",
            "before": self.before or "",
            "after": self.after or "",
        }
        if self.before == self.after:
            return shown | {
                "before": f"mode {self.mode_before:04o}, owner {self.owner_before}\n",
                "after": f"mode {self.mode_after:04o}, owner {self.owner_after}\n",
            }
        return shown


def compare(root: Path, wanted: Sequence[Mapping[str, str | None]], mode: int) -> list[File]:
    """Read each file that is asked for, in their order."""
    return [_compare(root, str(file["path"]), file.get("content"), mode) for file in wanted]


def _compare(root: Path, name: str, content: str | None, mode: int) -> File:
    if not name.startswith("/"):
        raise FilesError(f"files: {name!r} is no absolute path")
    path = root / name.lstrip("/")
    before = mode_before = owner_before = None
    if path.is_symlink() or path.exists():
        if path.is_symlink() or not path.is_file():
            # A link to /dev/null masks a unit: that is somebody's decision.
            raise FilesError(f"{path} is no ordinary file (a mask?): look at it, and remove it if Tandem may write it")
        before = path.read_text(encoding="utf-8", errors="surrogateescape")
        seen = path.stat()
        mode_before, owner_before = seen.st_mode & 0o7777, f"{seen.st_uid}:{seen.st_gid}"
    return File(path, before, content, mode_before, mode, owner_before, f"{os.geteuid()}:{os.getegid()}")
