"""Every pair once, no node twice at once, and as few rounds as there can be."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.errors import TandemError
from tandem.fabric.schedule import pairs, rounds


def link(name: str, nodes: list[str], **more: Any) -> dict[str, Any]:
    ends = {node: {"address": f"10.0.0.{place}/24"} for place, node in enumerate(nodes, start=1)}
    return {"name": name, "mtu_bytes": 9000, "ends": ends, **more}


def nodes(count: int) -> list[str]:
    return [f"node{place}" for place in range(1, count + 1)]


def rounds_needed(count: int) -> int:
    return count - 1 if count % 2 == 0 else count


@pytest.mark.parametrize("count", range(2, 12))
def test_a_switch_needs_the_fewest_rounds_there_can_be(count: int) -> None:
    planned = rounds([link("link0", nodes(count))], nodes(count))
    assert len(planned) == rounds_needed(count)
    assert sorted(tuple(pair["nodes"]) for taken in planned for pair in taken) == sorted(combinations(nodes(count), 2))


@pytest.mark.parametrize("count", range(2, 9))
def test_a_full_mesh_of_direct_cables_does_too(count: int) -> None:
    mesh = [link(f"link-{a}-{b}", [a, b]) for a, b in combinations(nodes(count), 2)]
    assert len(rounds(mesh, nodes(count))) == rounds_needed(count)


LINKS = st.lists(st.lists(st.sampled_from(nodes(7)), unique=True, min_size=2, max_size=7), min_size=0, max_size=6).map(
    lambda found: [link(f"link{place}", ends) for place, ends in enumerate(found)]
)


@given(LINKS, st.sets(st.sampled_from(nodes(7))))
def test_no_node_is_measured_twice_at_once(links: list[dict[str, Any]], hosts: set[str]) -> None:
    planned = rounds(links, sorted(hosts))
    for taken in planned:
        busy = [node for pair in taken for node in pair["nodes"]]
        assert len(busy) == len(set(busy))
    found = [pair["id"] for taken in planned for pair in taken]
    assert sorted(found) == sorted(pair["id"] for pair in pairs(links, sorted(hosts)))
    assert len(found) == len(set(found))
    assert all(node in hosts for taken in planned for pair in taken for node in pair["nodes"])
    # A pair waits at most for all others of its two nodes.
    degrees = [sum(node in pair["nodes"] for taken in planned for pair in taken) for node in hosts]
    assert len(planned) <= max(0, 2 * max(degrees, default=0) - 1)


def test_a_pair_says_all_that_the_role_needs() -> None:
    [[pair]] = rounds([link("link0", ["strix2", "strix1"], transport="tcp")], ["strix1", "strix2"])
    assert pair == {
        "id": "link0--strix2--strix1",
        "link": "link0",
        "transport": "tcp",
        # In the order of the link's ends, whatever that of the hosts.
        "nodes": ["strix2", "strix1"],
        "addresses": {"strix2": "10.0.0.1", "strix1": "10.0.0.2"},
        "mtu_bytes": 9000,
    }


def test_two_links_between_the_same_nodes_are_measured_one_after_the_other() -> None:
    planned = rounds([link("link0", nodes(2)), link("link1", nodes(2))], nodes(2))
    assert [[pair["id"] for pair in taken] for taken in planned] == [["link0--node1--node2"], ["link1--node1--node2"]]


def test_a_host_that_is_left_out_has_no_pair() -> None:
    assert rounds([link("link0", nodes(3))], ["node1"]) == []
    assert len(rounds([link("link0", nodes(3))], ["node3", "node1"])) == 1


def test_a_wrong_transport_is_told() -> None:
    with pytest.raises(TandemError, match="transport 'ib'"):
        rounds([link("link0", nodes(2), transport="ib")], nodes(2))
