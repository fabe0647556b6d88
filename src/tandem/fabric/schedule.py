"""Which pairs of nodes are measured together: never one node twice at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from tandem.links import address_of, link_transport

Link = Mapping[str, Any]
Pair = dict[str, Any]


def pairs(links: Sequence[Link], hosts: Sequence[str]) -> list[Pair]:
    """Return every two of these hosts that share a link, once per link, in the order of the inventory."""
    return [
        _pair(links, link, first, second)
        for link in links
        for first, second in combinations([node for node in link["ends"] if node in hosts], 2)
    ]


def rounds(links: Sequence[Link], hosts: Sequence[str]) -> list[list[Pair]]:
    """Return the pairs in rounds: those of one round have no node in common and are measured at the same time.

    The n nodes of one switch, and the n nodes of a full mesh of links of two ends, need n - 1 rounds, or n where n is
    odd: the fewest there can be. Elsewhere a node waits at most for the pairs of its own two ends.
    """
    found = pairs(links, hosts)
    found.sort(key=_turns(links, found))
    planned: list[list[Pair]] = []
    for pair in found:
        for taken in planned:
            if not any(set(pair["nodes"]) & set(other["nodes"]) for other in taken):
                taken.append(pair)
                break
        else:
            planned.append([pair])
    return planned


def pair_id(link: str, nodes: Sequence[str]) -> str:
    """Return the name of a pair on a link, which is the name of its verdict's file."""
    return "--".join((link, *nodes))


def _pair(links: Sequence[Link], link: Link, *nodes: str) -> Pair:
    return {
        "id": pair_id(link["name"], nodes),
        "link": link["name"],
        "transport": link_transport(links, link["name"]),
        "nodes": list(nodes),
        "addresses": {node: address_of(link["name"], node, link["ends"][node]) for node in nodes},
        "mtu_bytes": link["mtu_bytes"],
    }


def _turns(links: Sequence[Link], found: Sequence[Pair]) -> Any:  # noqa: ANN401
    """Return the key that sorts pairs by the round of a tournament in which their nodes meet.

    Links of two ends are one tournament together: a full mesh is built of them. Taken in this order, every pair finds
    its place in the first round where its nodes are free.
    """
    switched = {link["name"] for link in links if len(link["ends"]) > 2}
    groups: dict[str, list[str]] = {}
    for pair in found:
        nodes = groups.setdefault(pair["link"] if pair["link"] in switched else "", [])
        nodes += [node for node in pair["nodes"] if node not in nodes]

    def turn(pair: Pair) -> int:
        nodes = groups[pair["link"] if pair["link"] in switched else ""]
        return _turn([nodes.index(node) for node in pair["nodes"]], len(nodes))

    return turn


def _turn(places: Sequence[int], count: int) -> int:
    """Return in which round two players of a tournament meet (the circle method).

    One player keeps the place in the middle, all others move on along the circle. An odd number of players has an
    empty place there: who meets it has a rest.
    """
    moving = count - 1 + count % 2
    first, second = sorted(places)
    return 2 * first % moving if second == moving else (first + second) % moving
