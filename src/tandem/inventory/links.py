"""Do the links join the nodes that they say they join?"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tandem.inventory.problems import Problem, find_duplicates, join_words, suggest

if TYPE_CHECKING:
    from tandem.inventory.description import Cluster
    from tandem.inventory.specs import Value

END_KEYS = ("interface", "mac_address", "address")
MAC_ADDRESS = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)
#: The least that IPv6 allows, and the most that an IPv4 packet can be.
MTU_RANGE_BYTES = (1280, 65535)


def find_link_problems(cluster: Cluster) -> Iterator[Problem]:
    """Check every link by itself, then all of them together."""
    for link in cluster.links:
        yield from _check_link(cluster, link)
    yield from _check_addresses(cluster)
    names = [str(link["name"]) for link in cluster.links]
    for name in find_duplicates(names):
        yield Problem(f"link_links[{name}]", "is defined twice", "give each link a name of its own")
    if cluster.link is not None and cluster.link not in names:
        yield Problem(
            "tandem_link", f"found {cluster.link!r}, which is not in link_links", suggest(cluster.link, names)
        )
    ends = {node for link in cluster.links for node in link["ends"] or {}}
    for node in cluster.hosts_of("linked"):
        if node not in ends:
            yield Problem(
                "link_links", f"no link has an end on {node}", f"add one, or take {node} out of the group linked"
            )


def _check_link(cluster: Cluster, link: Mapping[str, Any]) -> Iterator[Problem]:
    variable = f"link_links[{link['name']}]"
    mtu_bytes = link.get("mtu_bytes")
    if mtu_bytes is not None and not MTU_RANGE_BYTES[0] <= mtu_bytes <= MTU_RANGE_BYTES[1]:
        yield Problem(f"{variable}.mtu_bytes", f"found {mtu_bytes}", "give a size from 1280 to 65535, such as 9000")
    ends = link["ends"] or {}
    for name in (str(link["name"]), *map(str, ends)):
        # A verdict's file is named LINK--NODE--NODE.json.
        if "--" in name or "/" in name:
            yield Problem(variable, f"found the name {name!r}", "take '--' and '/' out of the names of links and nodes")
    if len(ends) < 2:
        yield Problem(f"{variable}.ends", f"found {len(ends)}", "a link joins two nodes or more: describe every end")
    for node, end in ends.items():
        yield from _check_end(cluster, f"{variable}.ends.{node}", node, end)
    networks = {node: address.network for node, address in _addresses(link).items()}
    first = next(iter(networks), "")
    for node, network in networks.items():
        if network != networks[first]:
            yield Problem(
                f"{variable}.ends.{node}.address",
                f"is in {network}, but {first} is in {networks[first]}",
                "the ends of a link share one network",
            )


def _check_end(cluster: Cluster, variable: str, node: str, end: Value) -> Iterator[Problem]:
    if node not in cluster.hosts_of("nodes"):
        yield Problem(variable, f"{node} is not in the group nodes", suggest(node, cluster.hosts_of("nodes")))
    elif node not in cluster.hosts_of("linked"):
        yield Problem(variable, f"{node} is not in the group linked", "add it there, or remove the end")
    if not isinstance(end, Mapping):
        yield Problem(variable, f"found {end!r}", "give {interface: ..., address: ...}")
        return
    for key in end:
        if key not in END_KEYS:
            yield Problem(f"{variable}.{key}", "is an unknown key", suggest(str(key), END_KEYS))
    if bool(end.get("interface")) == bool(end.get("mac_address")):
        yield Problem(
            variable, f"has {'both' if end.get('interface') else 'neither'} of interface and mac_address", "give one"
        )
    mac_address = end.get("mac_address")
    if mac_address and not MAC_ADDRESS.fullmatch(str(mac_address)):
        yield Problem(f"{variable}.mac_address", f"found {mac_address!r}", 'write it in quotes as "aa:bb:cc:dd:ee:ff"')
    yield from _check_address(f"{variable}.address", end.get("address"))


def _check_address(variable: str, value: Value) -> Iterator[Problem]:
    if value is None:
        yield Problem(variable, "is missing", "add it with its prefix length, such as 192.168.100.1/30")
        return
    try:
        address = ipaddress.IPv4Interface(str(value))
    except ValueError as error:
        yield Problem(
            variable, f"found {value!r} ({error})", "give an IPv4 address with prefix, such as 192.168.100.1/30"
        )
        return
    if "/" not in str(value):
        yield Problem(variable, f"found {value!r} without a prefix length", "add it, such as /30 for two nodes")
    elif address.network.prefixlen < 31 and address.ip == address.network.network_address:
        yield Problem(
            variable, f"{address.ip} is the address of the network {address.network}", _usable(address.network)
        )
    elif address.network.prefixlen < 31 and address.ip == address.network.broadcast_address:
        yield Problem(variable, f"{address.ip} is the broadcast address of {address.network}", _usable(address.network))


def _usable(network: ipaddress.IPv4Network) -> str:
    return f"use {network.network_address + 1} to {network.broadcast_address - 1}"


def _addresses(link: Mapping[str, Any]) -> dict[str, ipaddress.IPv4Interface]:
    """Return the addresses of a link's ends that can be read."""
    found = {}
    for node, end in (link["ends"] or {}).items():
        try:
            found[node] = ipaddress.IPv4Interface(str(end["address"]))
        except (ValueError, TypeError, KeyError):
            continue  # reported where the end is checked
    return found


def _check_addresses(cluster: Cluster) -> Iterator[Problem]:
    """Find one address at two ends, and one network on two links of a node."""
    ends = [
        (f"link_links[{link['name']}].ends.{node}.address", str(link["name"]), node, address)
        for link in cluster.links
        for node, address in _addresses(link).items()
    ]
    for place, (variable, link, node, address) in enumerate(ends):
        for other_variable, other_link, other_node, other in ends[:place]:
            if address.ip == other.ip:
                yield Problem(
                    variable, f"{address.ip} is also the address at {other_variable}", "give each end its own"
                )
            elif link != other_link and node == other_node and address.network.overlaps(other.network):
                yield Problem(
                    variable,
                    f"network {address.network} overlaps {other.network} of link {other_link} on the same node",
                    "give each link a network of its own",
                )


def nodes_without(cluster: Cluster, nodes: list[str]) -> str:
    """Return those of the nodes that have no end on tandem_link, for a sentence; empty if all have or it is unknown."""
    ends = [link["ends"] or {} for link in cluster.links if link["name"] == cluster.link]
    return join_words(node for node in nodes if node not in ends[0]) if ends and set(nodes) - set(ends[0]) else ""
