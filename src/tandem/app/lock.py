"""Lock files: pinned versions with the sha256 of every wheel that may be installed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_SIZE = re.compile(r"^# (download|installed)_bytes: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One pinned distribution."""

    name: str
    version: str
    hashes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return the pin as pip reads it."""
        return f"{self.name}=={self.version}"

    def line(self) -> str:
        """Return the line of a requirements file, hashes included."""
        return " ".join([str(self), *(f"--hash=sha256:{digest}" for digest in sorted(self.hashes))])


@dataclass(frozen=True, slots=True)
class Lock:
    """A parsed lock file; sizes are 0 when it does not state them."""

    requirements: tuple[Requirement, ...]
    download_bytes: int = 0
    installed_bytes: int = 0


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each requirement with the number of its first line: comments dropped, continued lines joined."""
    start, parts = 0, list[str]()
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        start = start or number
        parts.append(line.removesuffix("\\").strip())
        if line.endswith("\\"):
            continue
        if joined := " ".join(part for part in parts if part):
            yield start, joined
        start, parts = 0, []
    if joined := " ".join(part for part in parts if part):
        yield start, joined


def parse_pins(text: str, origin: str) -> tuple[Requirement, ...]:
    """Parse a requirements file that holds nothing but `name==version`, with or without sha256 hashes."""
    found: dict[str, Requirement] = {}
    for number, line in logical_lines(text):
        pin, *options = line.split()
        match = _PIN.fullmatch(pin)
        hashes = [_HASH.fullmatch(option) for option in options]
        if not match or not all(hashes):
            raise TandemError(f"{origin}:{number}: want 'name==version --hash=sha256:...', found {line[:80]!r}")
        name = re.sub(r"[-_.]+", "-", match["name"]).lower()
        if name in found:
            raise TandemError(f"{origin}:{number}: {name} is pinned twice")
        found[name] = Requirement(name, match["version"], frozenset(item[1] for item in hashes if item))
    return tuple(found[name] for name in sorted(found))


def parse_lock(text: str, origin: str) -> Lock:
    """Parse a lock file: as `parse_pins`, but every pin must carry a hash."""
    requirements = parse_pins(text, origin)
    for requirement in requirements:
        if not requirement.hashes:
            raise TandemError(f"{origin}: {requirement} has no --hash=sha256:...; make the lock with `tandem app lock`")
    sizes = {match[1]: int(match[2]) for match in _SIZE.finditer(text)}
    return Lock(requirements, sizes.get("download", 0), sizes.get("installed", 0))


def render_lock(requirements: Iterable[Requirement], *, download_bytes: int, installed_bytes: int, command: str) -> str:
    """Return the text of a lock file, with the sizes that free space is checked against."""
    lines = [
        f"# Made by: {command}",
        f"# download_bytes: {download_bytes}",
        f"# installed_bytes: {installed_bytes}",
    ]
    for requirement in sorted(requirements, key=lambda item: item.name):
        hashes = [f"    --hash=sha256:{digest}" for digest in sorted(requirement.hashes)]
        lines.append(" \\\n".join([str(requirement), *hashes]))
    return "\n".join(lines) + "\n"
