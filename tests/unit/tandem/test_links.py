"""What the inventory says about links."""

from __future__ import annotations

from typing import Any

import pytest

from tandem import links
from tandem.errors import TandemError

LINKS: list[dict[str, Any]] = [
    {
        "name": "link0",
        "mtu_bytes": 9000,
        "zone": "tandem",
        "ends": {
            "node1": {"interface": "eth1", "address": "192.168.100.1/30"},
            "node2": {"mac_address": "02:00:00:00:00:0A", "address": "192.168.100.2/30"},
        },
    },
    {
        "name": "link1",
        "mtu_bytes": 1500,
        "transport": "tcp",
        "ends": {
            "node1": {"interface": "eth2", "address": "192.168.101.1/30"},
            "node3": {"interface": "eth1", "address": "192.168.101.2/30"},
        },
    },
    {
        "name": "spare",
        "mtu_bytes": 1500,
        "ends": {
            "node1": {"interface": "eth3", "address": "192.168.102.1/30"},
            "node2": {"interface": "eth3", "address": "192.168.102.2/30"},
        },
    },
]

FACTS: dict[str, Any] = {
    "interfaces": ["lo", "eth0", "eth1", "eth3", "en-1", "bond0"],
    "lo": {"device": "lo", "type": "loopback"},
    "eth0": {"device": "eth0", "type": "ether", "macaddress": "02:00:00:00:00:01"},
    "en_1": {
        "device": "en-1",
        "type": "ether",
        "macaddress": "02:00:00:00:00:01",
        "perm_macaddress": "02:00:00:00:00:0a",
    },
    "default_ipv4": {"interface": "eth0", "type": "ether", "macaddress": "02:00:00:00:00:0a"},
}


def test_a_link_is_told_from_the_point_of_view_of_a_host() -> None:
    assert links.links_of(LINKS, "node2")[0] == {
        "name": "link0",
        "mtu_bytes": 9000,
        "zone": "tandem",
        "transport": "roce",
        "mac_address": "02:00:00:00:00:0A",
        "address": "192.168.100.2/30",
        "peers": [{"node": "node1", "address": "192.168.100.1"}],
    }


def test_a_link_without_zone_has_none() -> None:
    assert "zone" not in links.links_of(LINKS, "node3")[0]


def test_a_host_without_links_has_none() -> None:
    assert links.links_of(LINKS, "node9") == []


def test_a_link_is_of_rdma_unless_it_says_otherwise() -> None:
    assert [links.link_transport(LINKS, name) for name in ("link0", "link1", "spare")] == ["roce", "tcp", "roce"]
    assert [link["transport"] for link in links.links_of(LINKS, "node1")] == ["roce", "tcp", "roce"]


def test_an_unknown_transport_or_link_is_explained() -> None:
    with pytest.raises(TandemError, match=r"'x' has transport 'ib'; choose one of roce, tcp"):
        links.link_transport([{"name": "x", "transport": "ib"}], "x")
    with pytest.raises(TandemError, match="there is no link 'lnk0'; found: link0, link1, spare"):
        links.link_transport(LINKS, "lnk0")


def test_addresses_have_no_prefix() -> None:
    assert links.link_address(LINKS, "link0", "node2") == "192.168.100.2"


def test_an_interface_is_taken_from_the_link_or_found_by_its_permanent_mac_address() -> None:
    assert links.link_interface(LINKS, "link0", "node1", FACTS) == "eth1"
    assert links.link_interface(LINKS, "link0", "node2", FACTS) == "en-1"


def test_interfaces_come_with_their_subnets() -> None:
    assert links.link_interfaces(LINKS, "node2", FACTS) == [
        {"name": "link0", "interface": "en-1", "subnet": "192.168.100.0/30"},
        {"name": "spare", "interface": "eth3", "subnet": "192.168.102.0/30"},
    ]


def test_peers_are_told_once_with_all_their_addresses() -> None:
    assert links.link_peers(LINKS, "node1") == [
        {"node": "node2", "address": "192.168.100.2", "addresses": ["192.168.100.2", "192.168.102.2"]},
        {"node": "node3", "address": "192.168.101.2", "addresses": ["192.168.101.2"]},
    ]


def test_the_preferred_link_is_used_where_it_joins_two_nodes() -> None:
    addresses = {peer["node"]: peer["address"] for peer in links.link_peers(LINKS, "node1", "spare")}
    assert addresses == {"node2": "192.168.102.2", "node3": "192.168.101.2"}


@pytest.mark.parametrize(
    ("name", "host", "message"),
    [
        ("lnik0", "node1", "there is no link 'lnik0'; found: link0, link1, spare"),
        ("link0", "node3", "link 'link0' has no end on node 'node3'; it joins node1, node2"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(name: str, host: str, message: str) -> None:
    with pytest.raises(TandemError, match=message):
        links.link_address(LINKS, name, host)


def test_a_missing_interface_is_answered_with_those_there_are() -> None:
    with pytest.raises(TandemError, match="node 'node1' has no interface 'eth2'; found: bond0, en-1, eth0"):
        links.link_interface(LINKS, "link1", "node1", FACTS)


def test_an_unknown_mac_address_is_answered_with_the_known_ones() -> None:
    facts = {**FACTS, "en_1": {**FACTS["en_1"], "perm_macaddress": "02:00:00:00:00:0b"}}
    with pytest.raises(TandemError, match=r"matches 0 interfaces; found: en-1 \(02:00:00:00:00:0b\), eth0 \("):
        links.link_interface(LINKS, "link0", "node2", facts)


@pytest.mark.parametrize("end", [{}, {"address": "192.168.100.300/30"}])
def test_a_bad_address_names_link_and_node(end: dict[str, str]) -> None:
    with pytest.raises(TandemError, match="link_links: link 'link0', node 'node1'"):
        links.address_of("link0", "node1", end)
