"""AMD's GPUs on the PCI bus, with the driver and the memory that sysfs tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AMD = "0x1002"
#: Display controllers and processing accelerators.
_CLASSES = ("0x03", "0x12")
_CARD = re.compile(r"card\d+")


@dataclass(frozen=True)
class Device:
    """One GPU. Its memory is None while no driver holds it."""

    pci_address: str
    device_id: str | None
    driver: str | None
    card: str | None
    render_node: str | None
    product_name: str | None
    vram_bytes: int | None
    gtt_bytes: int | None


def parse_uevent(text: str) -> dict[str, str]:
    """Read ``KEY=value`` lines."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def read_devices(sysfs_root: Path) -> Iterator[Device]:
    """AMD's GPUs in the order of their addresses, those without a driver too."""
    found = {}
    # Connectors (card1-DP-1) are here as well.
    for card in sorted((sysfs_root / "class" / "drm").glob("card*")):
        if _CARD.fullmatch(card.name) and _text(card / "device" / "vendor") == AMD:
            device = _read(card / "device", card.name)
            found[device.pci_address] = device
    for path in sorted((sysfs_root / "bus" / "pci" / "devices").glob("*")):
        ours = _text(path / "vendor") == AMD and (_text(path / "class") or "").startswith(_CLASSES)
        if ours and path.name not in found:
            found[path.name] = _read(path, None)
    return iter(sorted(found.values(), key=lambda device: device.pci_address))


def read_pages_limit(sysfs_root: Path) -> int | None:
    """How many pages the GPUs may take of the machine's memory; None while nothing needs the module ttm."""
    return _number(sysfs_root / "module" / "ttm" / "parameters" / "pages_limit")


def read_driver_version(sysfs_root: Path, driver: str | None, kernel_release: str) -> str | None:
    """The version of a driver. One that came with the kernel has none but the kernel's."""
    return (_text(sysfs_root / "module" / driver / "version") or kernel_release) if driver else None


def _read(path: Path, card: str | None) -> Device:
    uevent = parse_uevent(_text(path / "uevent") or "")
    nodes = sorted(entry.name for entry in (path / "drm").glob("renderD*"))
    return Device(
        pci_address=uevent.get("PCI_SLOT_NAME") or path.resolve().name,
        device_id=_text(path / "device") or None,
        driver=uevent.get("DRIVER"),
        card=card,
        render_node=f"/dev/dri/{nodes[0]}" if nodes else None,
        product_name=_text(path / "product_name") or None,
        vram_bytes=_number(path / "mem_info_vram_total"),
        gtt_bytes=_number(path / "mem_info_gtt_total"),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path) or ""
    return int(text) if text.isascii() and text.isdigit() else None
