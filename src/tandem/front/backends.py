"""Where the engines are, seen from the router's node."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from tandem.links import address_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LOOPBACK = "127.0.0.1"


def reach(engine: Mapping[str, Any], router: str, links: Sequence[Mapping[str, Any]], link: str | None) -> str | None:
    """Return the address at which the router's node reaches an engine's API; None if it cannot."""
    leader = engine["nodes"][0]
    listening = ipaddress.ip_address(engine.get("listen_address") or LOOPBACK)
    if leader == router:
        return LOOPBACK if listening.is_unspecified else str(listening)
    if listening.is_loopback:
        return None
    if listening.is_unspecified:
        return shared_address(leader, router, links, link)
    return str(listening)


def shared_address(leader: str, router: str, links: Sequence[Mapping[str, Any]], link: str | None) -> str | None:
    """Return the leader's address on a link that both nodes have an end on; the preferred link comes first."""
    for entry in sorted(links, key=lambda entry: entry["name"] != link):
        ends = entry.get("ends") or {}
        if leader in ends and router in ends:
            return address_of(str(entry["name"]), leader, ends[leader])
    return None


def ports_on_links(engines: Iterable[Mapping[str, Any]], links: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ports of APIs that listen on the address of a link.

    The kernel takes packets for any of its addresses on any interface: only the port guard keeps these on links.
    """
    on_links = {address_of(str(link["name"]), node, end) for link in links for node, end in link["ends"].items()}
    return [str(engine["port"]) for engine in engines if engine.get("listen_address") in on_links]
