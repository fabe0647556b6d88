"""The RDMA device of a link: found by its network interface, never by a name that somebody remembers.

``devices`` is what the module rdma_info returned on the node.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from tandem.errors import TandemError

Device = Mapping[str, Any]

ROCE_V2 = "RoCE v2"


def device_of(devices: Sequence[Device], interface: str) -> dict[str, Any]:
    """Return the device with a port on this network interface, and of its ports only that one."""
    found = [
        {**device, "ports": [port]} for device in devices for port in device["ports"] if port.get("netdev") == interface
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(device["name"]) for device in found)
        raise TandemError(
            f"{len(found)} RDMA ports are on {interface}: {names}. A Soft-RoCE device beside the card's own is one too "
            "many: remove it with 'rdma link delete NAME'"
        )
    raise TandemError(f"no RDMA device is on {interface}; found: {_listing(devices)}")


def lookup(devices: Sequence[Device], interface: str) -> dict[str, Any]:
    """Return the device as ``device``, or null and why there is none as ``error``."""
    try:
        return {"device": device_of(devices, interface), "error": None}
    except TandemError as error:
        return {"device": None, "error": str(error)}


def failures(devices: Sequence[Device], links: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what keeps RDMA from working on the links of a node: nothing, or a sentence each.

    A link has ``name``, ``interface`` and ``address`` (without prefix).
    """
    return [
        f"link {link['name']}: {words}"
        for link in links
        for words in _failures(devices, str(link["interface"]), str(link["address"]))
    ]


def _failures(devices: Sequence[Device], interface: str, address: str) -> list[str]:
    try:
        device = device_of(devices, interface)
    except TandemError as error:
        return [str(error)]
    port = device["ports"][0]
    name = f"{device['name']} port {port['port']} on {interface}"
    if port["link_layer"] != "Ethernet":
        return [f"{name} has link layer {port['link_layer']}, not Ethernet: it cannot do RoCE"]
    found = (
        [] if port["state"] == "ACTIVE" else [f"{name} is {port['state']}, not ACTIVE: see 'ip link show {interface}'"]
    )
    gids = {gid["index"]: gid for gid in port["gids"]}
    wanted = [gid for gid in gids.values() if _address(gid["gid"]) == address]
    if not any(gid["type"] == ROCE_V2 for gid in wanted):
        types = ", ".join(sorted({str(gid["type"]) for gid in wanted}))
        listing = ", ".join(f"{index} {gid['gid']} ({gid['type']})" for index, gid in sorted(gids.items())) or "none"
        why = f"only of type {types}; set the card to RoCE v2" if types else f"found: {listing}"
        found.append(f"{name} has no RoCE v2 GID of {address}: {why}")
    return found


def _address(gid: str) -> str | None:
    """Return the IPv4 address that a GID stands for."""
    try:
        mapped = ipaddress.IPv6Address(gid).ipv4_mapped
    except ValueError:
        return None
    return None if mapped is None else str(mapped)


def _listing(devices: Sequence[Device]) -> str:
    return (
        ", ".join(
            f"{device['name']} ({', '.join(str(port.get('netdev') or 'no interface') for port in device['ports'])})"
            for device in devices
        )
        or "none"
    )
