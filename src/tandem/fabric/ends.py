"""One end of a pair: what its facts say of interface, RDMA device, GID and ceiling.

An end is ``{"interface": <of network_interface_info>, "device": <of rdma_info, with the link's port alone, or null>,
"rdma_error": <why the device could not be read, or null>, "gid_index_pinned": <rdma_gid_index, or null>}``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

End = Mapping[str, Any]
Pair = Mapping[str, Any]

ROCE_V2 = "RoCE v2"
#: Soft-RoCE and siw: a driver on top of an ordinary card. It paces itself and asks nothing of flow control.
EMULATED_VENDORS = ("0xffffff", "0x626d74")


def interface_of(end: End) -> Mapping[str, Any]:
    """Return the facts of the end's interface, empty where there are none."""
    return end.get("interface") or {}


def port_of(end: End) -> Mapping[str, Any] | None:
    """Return the one port of the end's RDMA device."""
    ports = (end.get("device") or {}).get("ports") or []
    return ports[0] if ports else None


def is_emulated(end: End) -> bool:
    """Return whether the RDMA device is software."""
    return str((end.get("device") or {}).get("vendor_id", "")).lower() in EMULATED_VENDORS


def pcie_of(end: End) -> Mapping[str, Any]:
    """Return the PCIe facts of the end's card, empty where it has none."""
    return (end.get("device") or {}).get("pcie") or interface_of(end).get("pcie") or {}


def gid_index(end: End, address: str) -> int | None:
    """Return the GID index to use: the pinned one, else that of the link's address, else any of RoCE v2 over IPv4."""
    pinned = end.get("gid_index_pinned")
    if pinned is not None:
        return int(pinned)
    port = port_of(end)
    if port is None:
        return None
    own = [gid["index"] for gid in port["gids"] if gid["type"] == ROCE_V2 and address_of_gid(gid["gid"]) == address]
    return min(own) if own else port.get("roce_v2_ipv4_gid_index")


def ceiling(end: End) -> dict[str, Any]:
    """Return what link and PCIe let through, and the lesser of them.

    An emulated device makes its rate up; that of the interface counts. Without the rate of the link nothing is known:
    PCIe alone may allow far more than the link carries.
    """
    link = interface_of(end).get("speed_gbit_per_s")
    if link is None and not is_emulated(end):
        link = (port_of(end) or {}).get("rate_gbit_per_s")
    pcie = pcie_of(end).get("ceiling_gbit_per_s")
    known = {name: float(value) for name, value in (("link", link), ("pcie", pcie)) if value}
    limited_by = min(known, key=lambda name: known[name]) if "link" in known else None
    return {
        "link_gbit_per_s": known.get("link"),
        "pcie_gbit_per_s": known.get("pcie"),
        "gbit_per_s": known[limited_by] if limited_by else None,
        "limited_by": limited_by,
    }


def pair_ceiling_gbit_per_s(ends: Mapping[str, End | None]) -> float | None:
    """Return what the way between two ends lets through; the rate of the link is the same at both."""
    ceilings = [ceiling(end or {}) for end in ends.values()]
    links = [float(found["link_gbit_per_s"]) for found in ceilings if found["link_gbit_per_s"]]
    buses = [float(found["pcie_gbit_per_s"]) for found in ceilings if found["pcie_gbit_per_s"]]
    return min(links + buses) if links else None


def address_of_gid(gid: str) -> str | None:
    """Return the IPv4 address that a GID stands for."""
    try:
        mapped = ipaddress.IPv6Address(gid).ipv4_mapped
    except ValueError:
        return None
    return None if mapped is None else str(mapped)
