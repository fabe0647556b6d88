"""GIDs: the addresses of a port. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROCE_V2 = "RoCE v2"


@dataclass(frozen=True)
class Gid:
    """One used slot of a port's GID table."""

    index: int
    gid: str
    type: str | None
    netdev: str | None


def canonical_gid(text: str) -> str | None:
    """A GID as libibverbs writes it (``fe80::1``, ``::ffff:192.168.100.1``); None for an empty slot or no GID."""
    try:
        address = ipaddress.IPv6Address(text.strip())
    except ValueError:
        return None
    # Free slots of InfiniBand have the prefix of the subnet. ibv_devinfo leaves these out too.
    if not any(address.packed[8:]):
        return None
    return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else str(address)


def gid_type(text: str, link_layer: str) -> str | None:
    """The type by one name each: the kernel says "IB/RoCE v1" for both of the first two; None if it is unknown."""
    name = " ".join(text.split()).lower()
    if name == "roce v2":
        return ROCE_V2
    if link_layer == "InfiniBand" and name in ("", "ib", "infiniband", "ib/roce v1"):
        return "InfiniBand"
    return "RoCE v1" if name in ("roce v1", "ib/roce v1") else None


def roce_v2_ipv4_gid_index(gids: Iterable[Gid]) -> int | None:
    """The index that RoCE v2 over IPv4 uses: the lowest one of that type with a mapped IPv4 address."""
    return min((gid.index for gid in gids if gid.type == ROCE_V2 and gid.gid.startswith("::ffff:")), default=None)
