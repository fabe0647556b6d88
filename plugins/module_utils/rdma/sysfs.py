"""What sysfs tells about RDMA devices beyond ``ibv_devinfo``: GIDs with their netdevs, rate, PCIe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .gids import Gid, canonical_gid, gid_type
from .pcie import Pcie, read_pcie

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*Gb/sec", re.IGNORECASE)


class DeviceTree:
    """One device below ``class/infiniband``."""

    def __init__(self, sysfs_root: Path, name: str) -> None:
        """Nothing is read yet."""
        self._root = sysfs_root
        self._path = sysfs_root / "class" / "infiniband" / name

    def gids(self, port: int, link_layer: str, named: Mapping[int, Gid]) -> list[Gid] | None:
        """The used slots of a port in the order of their index; None if sysfs does not have the port.

        ``named`` is what ``ibv_devinfo`` said, for kernels that have GIDs but not their types.
        """
        directory = self._path / "ports" / str(port)
        slots = _names(directory / "gids")
        if slots is None:
            return None
        has_types = (directory / "gid_attrs" / "types").is_dir()
        found = []
        for index in sorted(int(slot) for slot in slots if slot.isascii() and slot.isdigit()):
            gid = canonical_gid(_text(directory / "gids" / str(index)) or "")
            if gid is None:
                continue
            said = _text(directory / "gid_attrs" / "types" / str(index))
            kind = gid_type(said, link_layer) if said else None
            if not has_types:
                kind = named[index].type if index in named else gid_type("", link_layer)
            elif kind is None:
                # EINVAL: the slot was given up, or is of a type that nobody here knows.
                continue
            netdev = _text(directory / "gid_attrs" / "ndevs" / str(index)) or None
            found.append(Gid(index, gid, kind, netdev))
        return found

    def netdev(self, port: int, gids: Iterable[Gid], *, only_port: bool) -> str | None:
        """The network interface of a port.

        By its GIDs; a port without any (no address, link down) by the number that the interfaces of its PCI device
        have, which an auxiliary device is below; Soft-RoCE and siw name theirs in ``parent``.
        """
        by_gid = next((gid.netdev for gid in gids if gid.netdev), None)
        if by_gid:
            return by_gid
        device = (self._path / "device").resolve()
        net = next((path for path in (device / "net", device.parent / "net") if path.is_dir()), device)
        names = sorted(_names(net) or [])
        matching = [name for name in names if _text(net / name / "dev_port") == str(port - 1)]
        if only_port and len(names) == 1:
            matching = names
        return matching[0] if matching else _text(self._path / "parent") or None

    def rate_gbit_per_s(self, port: int) -> float | None:
        """The rate of a port, all lanes together."""
        found = _RATE.match(_text(self._path / "ports" / str(port) / "rate") or "")
        return float(found[1]) or None if found else None

    def pcie(self, netdevs: Iterable[str | None]) -> Pcie | None:
        """PCIe of the device, or of the interface below an emulated one."""
        if (self._path / "device").exists():
            return read_pcie(self._root, self._path / "device")
        below = (read_pcie(self._root, self._root / "class" / "net" / name / "device") for name in netdevs if name)
        return next((pcie for pcie in below if pcie), None)


def _names(directory: Path) -> list[str] | None:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:
        return None


def _text(path: Path) -> str | None:
    """The content of an attribute; None if there is none or it cannot be read (EINVAL for an empty slot)."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
