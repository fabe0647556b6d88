"""Names of Soft-RoCE devices and of the units that make them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tandem.errors import TandemError
from tandem.links import link_interface, links_of

#: IB_DEVICE_NAME_MAX of the kernel is 64, with the byte that ends the text.
DEVICE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
INTERFACE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
PLACEHOLDER = "{interface}"


def roce_links(
    links: Sequence[Mapping[str, Any]], host: str, facts: Mapping[str, Any], pattern: str
) -> list[dict[str, Any]]:
    """Return the links of a node that RDMA should run on.

    Each has ``name``, ``interface``, ``address`` (without prefix), ``soft_roce`` (the name of its Soft-RoCE device, if
    that is wanted), ``device_unit`` (systemd's name of the interface) and what ``links_of`` tells.
    """
    found = []
    for link in links_of(links, host):
        if link["transport"] != "roce":
            continue
        interface = link_interface(links, link["name"], host, facts)
        if not INTERFACE_NAME.fullmatch(interface):
            raise TandemError(f"link_links: link {link['name']!r}: {interface!r} cannot be part of the name of a unit")
        found.append(
            {
                **link,
                "interface": interface,
                "address_with_prefix": link["address"],
                "address": str(link["address"]).partition("/")[0],
                "soft_roce": device_name(pattern, interface),
                "device_unit": f"sys-subsystem-net-devices-{escape(interface)}.device",
            }
        )
    return found


def device_name(pattern: str, interface: str) -> str:
    """Return the name of the Soft-RoCE device on an interface."""
    fault = pattern_fault(pattern)
    if fault:
        raise TandemError(f"rdma_soft_roce_name: {fault}")
    return pattern.replace(PLACEHOLDER, interface)


def pattern_fault(pattern: str) -> str:
    """Return what is wrong with the pattern of names, whatever the interface; empty if nothing."""
    if DEVICE_NAME.fullmatch(pattern.replace(PLACEHOLDER, "x" * 15)):
        return ""
    return f"{pattern!r} makes no name of a device: a letter, then letters, digits, '_', '.', '-', 63 in all"


def escape(name: str) -> str:
    """Return a name as systemd writes it in the name of a unit."""
    escaped = "".join(
        character if (character.isascii() and character.isalnum()) or character in ":_." else f"\\x{ord(character):02x}"
        for character in name
    )
    return f"\\x2e{escaped[1:]}" if escaped.startswith(".") else escaped
