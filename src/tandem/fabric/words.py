"""Numbers and names as the report writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: What neither HTML nor SVG can hold.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def amount(value: float | str | bool | None) -> str:
    """Return a number without noise (four decimals, no exponent), a text as it is."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return f"{value:.4f}".rstrip("0").rstrip(".")


def message_size(size_bytes: int) -> str:
    """Return a size by its largest unit that needs no fraction: 2 B, 4 KiB, 1 MiB."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size_bytes and size_bytes % 2**power == 0:
            return f"{size_bytes >> power} {unit}"
    return f"{size_bytes} B"


def printable(value: Any) -> Any:  # noqa: ANN401
    """Return a document in which no text holds what pages cannot; names and messages come from outside."""
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, Mapping):
        return {printable(key): printable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [printable(entry) for entry in value]
    return value


def shortened(name: str, longest: int) -> str:
    """Return a name, or its begin and end if it is long: the differing part of host names is at either."""
    if len(name) <= longest:
        return name
    begin = longest // 2
    return f"{name[:begin]}…{name[begin + 1 - longest :]}"
