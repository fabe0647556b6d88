"""What a release of an app is made of, and the digest that names it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.app.lock import Lock, parse_lock
from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Raise this when the same inputs are to make different releases.
FORMAT_VERSION = 1

PLATFORMS = ("x86_64", "aarch64")


@dataclass(frozen=True, slots=True)
class App:
    """A Python program for nodes: locked wheels, local projects, and the interpreter they are for."""

    name: str
    lock_file: Path | None
    projects: tuple[Path, ...]
    python_version: str
    platform: str = "x86_64"

    def __post_init__(self) -> None:
        """Refuse what no release can be made of."""
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", self.name):
            raise TandemError(f"app name {self.name!r}: want small letters, digits and '-', 31 at most")
        if not re.fullmatch(r"3\.\d{1,2}", self.python_version):
            raise TandemError(f"python version {self.python_version!r} of app {self.name}: want the form 3.11")
        if self.platform not in PLATFORMS:
            raise TandemError(f"platform {self.platform!r} of app {self.name}: want one of {', '.join(PLATFORMS)}")
        if self.lock_file is None and not self.projects:
            raise TandemError(f"app {self.name} has neither a lock nor a project: nothing to install")


def lock_text(app: App) -> str:
    """Return the text of the app's lock, empty if it has none."""
    if app.lock_file is None:
        return ""
    try:
        return app.lock_file.read_text(encoding="utf-8")
    except OSError as error:
        raise TandemError(f"cannot read the lock {app.lock_file} of app {app.name}: {error.strerror}") from error


def read_lock(app: App) -> Lock:
    """Return the app's lock, parsed."""
    return parse_lock(lock_text(app), str(app.lock_file))


def project_files(project: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of every file that decides what the project's wheel does, in a fixed order.

    That is pyproject.toml and src/, without what tools leave there. A changed README or test must not reinstall nodes.
    """
    pyproject = project / "pyproject.toml"
    if not pyproject.is_file():
        raise TandemError(f"project {project} has no pyproject.toml")
    yield "pyproject.toml", pyproject
    for path in sorted((project / "src").rglob("*")):
        name = path.relative_to(project)
        made = any(part == "__pycache__" or part.endswith(".egg-info") for part in name.parts)
        if path.is_file() and not made and path.suffix != ".pyc":
            yield name.as_posix(), path


def digest(app: App) -> str:
    """Return the 12 hexadecimal digits that name the app's release: the same inputs give the same digits anywhere."""
    total = hashlib.sha256()

    def add(*fields: bytes) -> None:
        for field in fields:
            total.update(b"%d:" % len(field))
            total.update(field)

    add(b"%d" % FORMAT_VERSION, app.python_version.encode(), app.platform.encode(), lock_text(app).encode())
    for project in app.projects:
        add(b"project")
        for name, path in project_files(project):
            add(name.encode(), path.read_bytes())
    return total.hexdigest()[:12]


def wheel_identity(filename: str) -> tuple[str, str]:
    """Return the normalised name and the version that a wheel's file name states."""
    parts = filename.removesuffix(".whl").split("-")
    if not filename.endswith(".whl") or len(parts) not in {5, 6}:
        raise TandemError(f"{filename} is not the name of a wheel")
    return re.sub(r"[-_.]+", "-", parts[0]).lower(), parts[1]


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
