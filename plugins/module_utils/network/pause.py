"""Reading what ``ethtool -a`` prints. Pure: text in, dataclass out."""

from __future__ import annotations

import re
from dataclasses import dataclass


class UnexpectedOutput(Exception):
    """A tool printed something this code was not written for."""


@dataclass(frozen=True)
class Pause:
    """Link-level flow control: what was asked for, and what both ends agreed on."""

    autonegotiate: bool | None
    """None where the card does not tell ("n/a")."""
    rx: bool | None
    tx: bool | None
    negotiated_rx: bool | None
    """None where the card or an older ethtool does not tell."""
    negotiated_tx: bool | None


_LINE = re.compile(r"^\s*(Autonegotiate|RX negotiated|TX negotiated|RX|TX):\s*(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_VALUES = {"on": True, "off": False, "n/a": None}
# Words of ethtool's two ways to ask the kernel, and of kernels of different age.
_CANNOT_TELL = re.compile(r"Operation not supported|not support|Cannot get device pause settings", re.IGNORECASE)
_NO_DEVICE = re.compile(r"No such device|no device matches", re.IGNORECASE)


def parse_pause(text: str) -> Pause:
    """Read the parameters; output that lacks one of the first three was cut off or is something else."""
    found = {name.lower(): value.lower() for name, value in _LINE.findall(text)}
    wrong = [name for name, value in found.items() if value not in _VALUES]
    missing = [name for name in ("autonegotiate", "rx", "tx") if name not in found]
    if wrong or missing:
        raise UnexpectedOutput(f"ethtool -a: no {', '.join(wrong or missing)} in {' '.join(text.split())[:120]!r}")
    return Pause(
        autonegotiate=_VALUES[found["autonegotiate"]],
        rx=_VALUES[found["rx"]],
        tx=_VALUES[found["tx"]],
        negotiated_rx=_VALUES.get(found.get("rx negotiated", "")),
        negotiated_tx=_VALUES.get(found.get("tx negotiated", "")),
    )


def cannot_tell(stderr: str) -> bool:
    """Whether a failed ``ethtool -a`` means that the device has no such thing."""
    return bool(_CANNOT_TELL.search(stderr)) and not _NO_DEVICE.search(stderr)


def is_gone(stderr: str) -> bool:
    """Whether a failed ``ethtool -a`` means that there is no such device (any more)."""
    return bool(_NO_DEVICE.search(stderr))
