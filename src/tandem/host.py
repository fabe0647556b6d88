"""What systemd, the kernel and the journal say of a host, against what was asked of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIZE = re.compile(r"(\d+)([KMGT]?)")
_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def size_bytes(size: str | int) -> int:
    """Return a size as systemd writes it, such as 512M, in bytes."""
    match = _SIZE.fullmatch(str(size))
    if not match:
        raise TandemError(f"{size!r} is no size; write bytes, or a whole number with K, M, G or T, such as 512M")
    return int(match[1]) * _FACTORS[match[2]]


def unit_differences(text: str, wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Compare ``systemctl show`` of several units (with Names) with the properties that they should have."""
    units: dict[str, dict[str, str]] = {}
    for block in text.strip().split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        # A unit answers to its aliases, too: sshd.service is ssh.service on some systems.
        units |= dict.fromkeys(properties.get("Names", "").split(), properties)
    return [
        f"{unit}: {name} is {units[unit].get(name, 'unknown')}, not {value}" if unit in units else f"{unit}: unknown"
        for unit, properties in wanted.items()
        for name, value in properties.items()
        if unit not in units or units[unit].get(name) != str(value)
    ]


def sysctl_differences(text: str, wanted: Mapping[str, Any]) -> list[str]:
    """Compare what ``sysctl --ignore`` printed, ``name = value`` a line, with the settings that were asked for."""
    found = {
        name.strip(): " ".join(value.split()) for name, _, value in (line.partition("=") for line in text.splitlines())
    }
    return [
        f"{name} is {found.get(name, 'unknown to this kernel')}, not {value}"
        for name, value in wanted.items()
        if found.get(name) != " ".join(str(value).split())
    ]


def journal_limit_bytes(text: str) -> int:
    """Return the most that the journal on disk may take, of what journald said last; 0 if it keeps none there.

    ``text`` is the JSON of its messages about its own sizes (MESSAGE_ID ec387f577b844b8fa948f33cad9a75e6).
    """
    limit = 0
    for line in text.splitlines():
        entry = json.loads(line)
        if entry.get("JOURNAL_NAME") == "System Journal":
            limit = int(entry.get("MAX_USE", 0))
    return limit
