"""The PCI Express links between a device and its root port, read from sysfs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Number = TypeVar("Number", int, float)

_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", re.IGNORECASE)
_SPEED = re.compile(r"(\d+(?:\.\d+)?)\s*GT/s", re.IGNORECASE)
_SLOT_NAME = re.compile(r"^PCI_SLOT_NAME=(\S+)$", re.MULTILINE)
# Gen1 and Gen2 send 10 bits for 8, Gen3 to Gen5 send 130 for 128. Gen6 sends frames of fixed size and is
# counted whole, as the kernel does.
_GEN2_GT_PER_S = 5.0
_GEN5_GT_PER_S = 32.0


@dataclass(frozen=True)
class Pcie:
    """The link of a device as it was trained, and what the way up to the root port lets through."""

    address: str | None
    speed_gt_per_s: float | None
    width: int | None
    max_speed_gt_per_s: float | None
    """What the card can do; its slot may do less."""
    max_width: int | None
    ceiling_gbit_per_s: float | None
    """Of the slowest link of the way, in one direction, without the overhead of packets."""
    slot_max_speed_gt_per_s: float | None = None
    slot_max_width: int | None = None


def read_pcie(sysfs_root: Path, device_directory: Path) -> Pcie | None:
    """The PCIe facts of a device; None if it is on no PCI bus.

    ``device_directory`` is the ``device`` entry of a class (``class/net/NAME/device``). A device that is not on PCI
    itself (virtio, an auxiliary device) counts as the PCI device that it is a part of.
    """
    way = list(_way_up(device_directory, sysfs_root))
    if not way:
        return None
    own, slot = way[0], way[1] if len(way) > 1 else None
    links = [ceiling_gbit_per_s(*_trained(directory)) for directory in way]
    speed, width = _trained(own)
    max_speed, max_width = _maximum(own)
    slot_speed, slot_width = _maximum(slot) if slot else (None, None)
    return Pcie(
        address=_address(own),
        speed_gt_per_s=speed,
        width=width,
        max_speed_gt_per_s=max_speed,
        max_width=max_width,
        ceiling_gbit_per_s=_least(*links),
        slot_max_speed_gt_per_s=slot_speed,
        slot_max_width=slot_width,
    )


def ceiling_gbit_per_s(speed_gt_per_s: float | None, width: int | None) -> float | None:
    """What a link of this speed and width carries in one direction."""
    if speed_gt_per_s is None or width is None:
        return None
    if speed_gt_per_s <= _GEN2_GT_PER_S:
        encoding = 8 / 10
    elif speed_gt_per_s <= _GEN5_GT_PER_S:
        encoding = 128 / 130
    else:
        encoding = 1.0
    return round(speed_gt_per_s * width * encoding, 3)


def _way_up(device_directory: Path, sysfs_root: Path) -> Iterator[Path]:
    """The PCI device and the bridges above it, from the device to its root port."""
    try:
        directory = device_directory.resolve(strict=True)
    except (OSError, RuntimeError):
        # No such entry, or links that lead in a circle.
        return
    root = sysfs_root.resolve()
    found = False
    while directory not in (root, directory.parent):
        if _is_pci(directory):
            found = True
            yield directory
        elif found:
            return
        directory = directory.parent


def _is_pci(directory: Path) -> bool:
    return bool(_ADDRESS.fullmatch(directory.name)) or (directory / "current_link_speed").exists()


def _address(directory: Path) -> str | None:
    if _ADDRESS.fullmatch(directory.name):
        return directory.name
    named = _SLOT_NAME.search(_text(directory / "uevent"))
    return named[1] if named else None


def _trained(directory: Path) -> tuple[float | None, int | None]:
    return _speed(directory / "current_link_speed"), _width(directory / "current_link_width")


def _maximum(directory: Path) -> tuple[float | None, int | None]:
    return _speed(directory / "max_link_speed"), _width(directory / "max_link_width")


def _speed(path: Path) -> float | None:
    """A speed in GT/s; a port without a link says "Unknown"."""
    found = _SPEED.search(_text(path))
    return float(found[1]) or None if found else None


def _width(path: Path) -> int | None:
    """A number of lanes; a port without a link has 0, a virtual function 0 or 255."""
    text = _text(path).lower().removeprefix("x")
    lanes = int(text) if text.isascii() and text.isdigit() else 0
    return lanes if 0 < lanes <= 32 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _least(*values: Number | None) -> Number | None:
    return min((value for value in values if value is not None), default=None)
