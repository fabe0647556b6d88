"""Reading what ``ibv_devinfo -v`` prints. Pure: text in, dataclasses out.

Only complete facts count: output that was cut off (a port without its state, fewer ports than announced, half a line)
is an error, because what is missing cannot be told from what is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .gids import Gid, canonical_gid, gid_type


class UnexpectedOutput(Exception):
    """A tool printed something this code was not written for."""


@dataclass(frozen=True)
class DevinfoPort:
    """One port of a device."""

    port: int
    state: str
    link_layer: str
    max_mtu_bytes: int | None
    active_mtu_bytes: int | None
    rate_gbit_per_s: float | None
    gids: tuple[Gid, ...]


@dataclass(frozen=True)
class DevinfoDevice:
    """One RDMA device."""

    name: str
    transport: str
    firmware_version: str | None
    node_guid: str
    vendor_id: str
    vendor_part_id: int
    board_id: str | None
    ports: tuple[DevinfoPort, ...]


@dataclass
class _Block:
    """The lines of a device or a port, before they are judged."""

    title: str
    values: dict[str, str] = field(default_factory=dict)
    gids: list[str] = field(default_factory=list)
    ports: list[_Block] = field(default_factory=list)


_FIELD = re.compile(r"\s*([A-Za-z][\w ]*?)\s*:\s*(.*?)\s*")
_GID = re.compile(r"\s*GID\s*\[\s*(\d+)\s*\]\s*:\s*(.*?)\s*", re.IGNORECASE)
_GID_VALUE = re.compile(r"([0-9a-fA-F:.]+)(?:\s*,\s*(.+))?")
# A name with the number behind it: "PORT_ACTIVE (4)", "4096 (5)". The number proves that the line is whole.
_NAMED_NUMBER = re.compile(r"(.+?)\s*\((-?\d+)\)")
_ALL_GROUPS = re.compile(r"[0-9a-fA-F]{4}(?::[0-9a-fA-F]{4}){7}")
_GUID = re.compile(r"[0-9a-fA-F]{4}(?::[0-9a-fA-F]{4}){3}")
_LINK_LAYERS = {
    "ethernet": "Ethernet",
    "infiniband": "InfiniBand",
    "ib": "InfiniBand",
    "unspecified": "Unspecified",
    "unknown": "Unknown",
}


# How the last lines of a port end: a name with its number, a speed, a GID, the link layer.
_WHOLE_END = re.compile(r"(?:\(-?\d+\)|Gbps|RoCE v\d|(?:[:\s][0-9a-f]{4}){8}|link_layer:\s*\w+)$", re.IGNORECASE)


def parse_devinfo(text: str) -> list[DevinfoDevice]:
    """Read the devices; text without any is an error here (see info.py for what means "none")."""
    blocks = _blocks(text)
    if not blocks:
        raise UnexpectedOutput(f"no hca_id in {_excerpt(text)}")
    last = text.splitlines()[-1].strip()
    if last and not text.endswith(("\n", "\r")) and not _WHOLE_END.search(last):
        raise UnexpectedOutput(f"cut off at {last!r}; the output is not complete")
    return [_device(block) for block in blocks]


def _blocks(text: str) -> list[_Block]:
    devices: list[_Block] = []
    block: _Block | None = None
    for line in text.splitlines():
        gid = _GID.fullmatch(line)
        if gid and block:
            block.gids.append(f"{gid[1]} {gid[2]}")
            continue
        found = _FIELD.fullmatch(line)
        if not found:
            # Flags of a capability, warnings of libibverbs, empty lines.
            continue
        name, value = found[1].lower(), found[2]
        if name == "hca_id":
            block = _Block(value)
            devices.append(block)
        elif name == "port" and devices:
            block = _Block(value)
            devices[-1].ports.append(block)
        elif block:
            block.values.setdefault(name, value)
    return devices


def _device(block: _Block) -> DevinfoDevice:
    where = f"device {block.title!r}"
    announced = _integer(_required(block, "phys_port_cnt", where), f"{where}: phys_port_cnt")
    if announced != len(block.ports):
        raise UnexpectedOutput(f"{where}: {announced} ports announced, {len(block.ports)} described")
    guid = _required(block, "node_guid", where)
    if not block.title or not _GUID.fullmatch(guid):
        raise UnexpectedOutput(f"{where}: node_guid is {guid!r}")
    return DevinfoDevice(
        name=block.title,
        transport=_named(_required(block, "transport", where), f"{where}: transport"),
        firmware_version=block.values.get("fw_ver") or None,
        node_guid=guid,
        vendor_id=_required(block, "vendor_id", where),
        vendor_part_id=_integer(_required(block, "vendor_part_id", where), f"{where}: vendor_part_id"),
        board_id=block.values.get("board_id") or None,
        ports=tuple(_port(port, where, verbose="max_mr_size" in block.values) for port in block.ports),
    )


def _port(block: _Block, device: str, *, verbose: bool) -> DevinfoPort:
    where = f"{device}, port {block.title}"
    if verbose:
        _named(_required(block, "active_speed", where), f"{where}: active_speed")
    link_layer = _LINK_LAYERS.get(_required(block, "link_layer", where).lower())
    if link_layer is None:
        raise UnexpectedOutput(f"{where}: link_layer is {block.values['link_layer']!r}")
    state = _named(_required(block, "state", where), f"{where}: state")
    return DevinfoPort(
        port=_integer(block.title, f"{where}: number"),
        state=state.removeprefix("PORT_") if " " not in state else "UNKNOWN",
        link_layer=link_layer,
        max_mtu_bytes=_mtu(_required(block, "max_mtu", where), f"{where}: max_mtu"),
        active_mtu_bytes=_mtu(_required(block, "active_mtu", where), f"{where}: active_mtu"),
        rate_gbit_per_s=_rate(block.values),
        gids=tuple(gid for line in block.gids if (gid := _gid(line, link_layer))),
    )


def _gid(line: str, link_layer: str) -> Gid | None:
    index, _, rest = line.partition(" ")
    found = _GID_VALUE.fullmatch(rest)
    gid = canonical_gid(found[1]) if found else None
    kind = gid_type(found[2] or "", link_layer) if found else None
    if gid is None or (found and found[2] and kind is None):
        # Null, cut off, or of a type that nobody knows: no fact.
        return None
    if found and not found[2] and not _ALL_GROUPS.fullmatch(found[1]):
        # Without a type behind it the tool writes all groups in full: this line was cut off.
        return None
    return Gid(index=int(index), gid=gid, type=kind, netdev=None)


def _rate(values: dict[str, str]) -> float | None:
    """Lanes times speed of a lane, or what newer versions call the effective speed."""
    effective = re.fullmatch(r"(\d+(?:\.\d+)?) Gbps", values.get("effective_speed", ""))
    if effective:
        return float(effective[1])
    width = re.fullmatch(r"(\d+)X \(\d+\)", values.get("active_width", ""))
    speed = re.fullmatch(r"(\d+(?:\.\d+)?) Gbps \(\d+\)", values.get("active_speed", ""))
    return round(int(width[1]) * float(speed[1]), 3) if width and speed else None


def _required(block: _Block, name: str, where: str) -> str:
    if not block.values.get(name):
        raise UnexpectedOutput(f"{where}: {name} is missing; the output is not complete")
    return block.values[name]


def _named(value: str, where: str) -> str:
    found = _NAMED_NUMBER.fullmatch(value)
    if not found:
        raise UnexpectedOutput(f"{where} is {value!r}, without its number")
    return found[1]


def _mtu(value: str, where: str) -> int | None:
    """Bytes; "invalid MTU (0)" is none."""
    name = _named(value, where)
    return int(name) if name.isascii() and name.isdigit() else None


def _integer(value: str, where: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise UnexpectedOutput(f"{where} is {value!r}, not a number") from None


def _excerpt(text: str) -> str:
    shortened = " ".join(text.split())[:120]
    return repr(shortened) if shortened else "an empty output"
