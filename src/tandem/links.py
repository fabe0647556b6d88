"""Questions about ``link_links``, the links between nodes as the inventory describes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from tandem.errors import TandemError

Link = Mapping[str, Any]

#: What ranks talk over a link: RDMA (RoCE v2), or TCP where the cards have none. The first is the default.
TRANSPORTS = ("roce", "tcp")


def links_of(links: Sequence[Link], host: str) -> list[dict[str, Any]]:
    """Return the links that end on this host, each from its point of view.

    A link has ``name``, ``transport``, ``mtu_bytes``, ``address`` (with prefix), ``interface`` or
    ``mac_address``, ``zone`` if the inventory gives one, and ``peers``: the other ends as ``node`` and
    ``address`` (without prefix).
    """
    found = []
    for link in links:
        ends = link["ends"]
        if host in ends:
            peers = [
                {"node": node, "address": address_of(link["name"], node, end)}
                for node, end in ends.items()
                if node != host
            ]
            shared = {key: link[key] for key in ("name", "mtu_bytes", "zone") if link.get(key) is not None}
            found.append({**shared, "transport": _transport(link), **ends[host], "peers": peers})
    return found


def link_transport(links: Sequence[Link], name: str) -> str:
    """Return what ranks talk over a link: ``roce`` or ``tcp``."""
    return _transport(_link(links, name))


def link_address(links: Sequence[Link], name: str, host: str) -> str:
    """Return the address of a host on a link, without prefix."""
    return address_of(name, host, _end(links, name, host))


def link_interface(links: Sequence[Link], name: str, host: str, facts: Mapping[str, Any]) -> str:
    """Return the name of a host's device on a link; a MAC address is looked up in its facts."""
    end = _end(links, name, host)
    if end.get("interface"):
        return _present(name, host, str(end["interface"]), facts)
    mac_address = str(end["mac_address"]).lower()
    cards = {str(card["device"]): mac for card in _cards(facts) if (mac := _mac_address(card))}
    found = [device for device, mac in cards.items() if mac == mac_address]
    if len(found) != 1:
        listing = ", ".join(f"{device} ({mac})" for device, mac in sorted(cards.items())) or "none"
        raise TandemError(
            f"link_links: link {name!r}, node {host!r}: mac_address {mac_address} matches {len(found)} interfaces; "
            f"found: {listing}. Correct mac_address, or give interface instead"
        )
    return found[0]


def link_interfaces(links: Sequence[Link], host: str, facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the device and subnet of every link that ends on this host."""
    return [
        {
            "name": link["name"],
            "interface": link_interface(links, link["name"], host, facts),
            "subnet": str(ipaddress.IPv4Interface(link["address"]).network),
        }
        for link in links_of(links, host)
    ]


def link_peers(links: Sequence[Link], host: str, preferred: str = "") -> list[dict[str, Any]]:
    """Return every other node that shares a link with this host.

    A peer has ``node``, ``addresses`` (its own, on all shared links) and ``address``, the one on the
    preferred link or, where that does not join the two, on the first that does.
    """
    peers: dict[str, list[str]] = {}
    for link in sorted(links_of(links, host), key=lambda link: link["name"] != preferred):
        for peer in link["peers"]:
            peers.setdefault(peer["node"], []).append(peer["address"])
    return [{"node": node, "address": found[0], "addresses": found} for node, found in sorted(peers.items())]


def address_of(name: str, node: str, end: Mapping[str, Any]) -> str:
    """Return the address of an end of a link without its prefix."""
    try:
        return str(ipaddress.IPv4Interface(end["address"]).ip)
    except KeyError:
        raise TandemError(f"link_links: link {name!r}, node {node!r} has no address") from None
    except ValueError as error:
        raise TandemError(f"link_links: link {name!r}, node {node!r}: {error}") from None


def _transport(link: Link) -> str:
    transport = str(link.get("transport") or TRANSPORTS[0])
    if transport not in TRANSPORTS:
        raise TandemError(
            f"link_links: link {link['name']!r} has transport {transport!r}; choose one of {', '.join(TRANSPORTS)}"
        )
    return transport


def _end(links: Sequence[Link], name: str, host: str) -> Mapping[str, Any]:
    link = _link(links, name)
    if host not in link["ends"]:
        raise TandemError(
            f"link_links: link {name!r} has no end on node {host!r}; it joins {', '.join(link['ends'])}. "
            "Add the node to its ends"
        )
    end: Mapping[str, Any] = link["ends"][host]
    return end


def _link(links: Sequence[Link], name: str) -> Link:
    for link in links:
        if link["name"] == name:
            return link
    names = ", ".join(link["name"] for link in links) or "none"
    raise TandemError(f"link_links: there is no link {name!r}; found: {names}. Correct tandem_link or link_links")


def _present(name: str, host: str, interface: str, facts: Mapping[str, Any]) -> str:
    if interface not in facts["interfaces"]:
        raise TandemError(
            f"link_links: link {name!r}, node {host!r} has no interface {interface!r}; "
            f"found: {', '.join(sorted(facts['interfaces']))}. Correct interface, or give mac_address instead"
        )
    return interface


def _cards(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        fact
        for fact in facts.values()
        if isinstance(fact, Mapping) and fact.get("type") == "ether" and fact.get("device") in facts["interfaces"]
    ]


def _mac_address(card: Mapping[str, Any]) -> str:
    """Return the address burnt into the card: that of a bond's members is replaced."""
    return str(card.get("perm_macaddress") or card.get("macaddress") or "").lower()
