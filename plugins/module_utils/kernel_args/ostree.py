"""Kernel arguments of ostree hosts, whose boot entries belong to rpm-ostree: a change is a new deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grubby import Entry
from .tokens import KernelArgsError, split

if TYPE_CHECKING:
    from collections.abc import Sequence

READ = ("rpm-ostree", "kargs")


def parse_kargs(text: str) -> list[Entry]:
    """Return the one entry that there is to change: the deployment that starts next."""
    lines = text.strip().splitlines()
    if len(lines) != 1 or "root=" not in lines[0]:
        raise KernelArgsError(f"'{' '.join(READ)}' printed no line of kernel arguments: {text[:200]!r}")
    return [Entry(0, "next deployment", "of ostree", split(lines[0]))]


def update_command(entry: Entry, after: Sequence[str]) -> list[str]:
    """Return the command that makes ``after`` of the deployment."""
    before = entry.tokens
    removed = [f"--delete-if-present={token}" for token in before if token not in after]
    added = [f"--append-if-missing={token}" for token in after if token not in before]
    return [*READ, *removed, *added]
