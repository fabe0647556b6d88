"""Which links RDMA runs on, and what the devices and units of Soft-RoCE are called."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.errors import TandemError
from tandem.rdma.soft_roce import device_name, escape, pattern_fault, roce_links

LINKS: list[dict[str, Any]] = [
    {
        "name": "link0",
        "mtu_bytes": 9000,
        "zone": "tandem",
        "ends": {
            "node1": {"mac_address": "02:00:00:00:00:01", "address": "192.168.100.1/30"},
            "node2": {"interface": "en-1", "address": "192.168.100.2/30"},
        },
    },
    {
        "name": "link1",
        "mtu_bytes": 1500,
        "transport": "tcp",
        "ends": {
            "node1": {"interface": "eth2", "address": "192.168.101.1/30"},
            "node2": {"interface": "eth2", "address": "192.168.101.2/30"},
        },
    },
]
FACTS = {
    "interfaces": ["eth1", "en-1", "eth2"],
    "eth1": {"device": "eth1", "type": "ether", "macaddress": "02:00:00:00:00:01"},
}
PATTERN = "rxe_{interface}"


def test_only_links_of_rdma_are_named_each_with_its_interface() -> None:
    (link,) = roce_links(LINKS, "node1", FACTS, PATTERN)
    assert link["interface"] == "eth1"
    assert link["address"] == "192.168.100.1"
    assert link["soft_roce"] == "rxe_eth1"
    assert link["device_unit"] == "sys-subsystem-net-devices-eth1.device"
    assert link["zone"] == "tandem"


def test_an_interface_is_escaped_as_systemd_does() -> None:
    (link,) = roce_links(LINKS, "node2", FACTS, PATTERN)
    assert (link["device_unit"], link["soft_roce"]) == (r"sys-subsystem-net-devices-en\x2d1.device", "rxe_en-1")


def test_a_node_without_such_links_has_none() -> None:
    assert roce_links(LINKS[1:], "node1", FACTS, PATTERN) == []
    assert roce_links(LINKS, "node9", FACTS, PATTERN) == []


def test_an_interface_that_is_not_there_is_explained() -> None:
    with pytest.raises(TandemError, match="found: en-1, eth1, eth2"):
        roce_links([LINKS[0] | {"ends": {"node1": {"interface": "eth9"}}}], "node1", FACTS, PATTERN)


def test_an_interface_that_no_unit_can_be_named_after_is_refused() -> None:
    link = LINKS[0] | {"ends": {"node1": {"interface": "a b'", "address": "10.0.0.1/30"}}}
    with pytest.raises(TandemError, match="cannot be part of the name of a unit"):
        roce_links([link], "node1", {"interfaces": ["a b'"]}, PATTERN)


@pytest.mark.parametrize(
    ("pattern", "name"), [("rxe_{interface}", "rxe_eth1"), ("rocep1s0f0", "rocep1s0f0"), ("{interface}-r", "eth1-r")]
)
def test_a_device_is_named_by_the_pattern(pattern: str, name: str) -> None:
    assert device_name(pattern, "eth1") == name


@pytest.mark.parametrize(
    "pattern", ["", "a b", "rxe_{interface}{interface}{interface}{interface}x", "rxe_{netdev}", "0x"]
)
def test_a_pattern_that_makes_no_name_is_refused(pattern: str) -> None:
    assert "makes no name" in pattern_fault(pattern)
    with pytest.raises(TandemError, match="rdma_soft_roce_name: "):
        device_name(pattern, "eth1")


@pytest.mark.parametrize(
    ("name", "escaped"), [("eth1", "eth1"), ("a-b.c", r"a\x2db.c"), (".a", r"\x2ea"), ("a@b", r"a\x40b")]
)
def test_escaping(name: str, escaped: str) -> None:
    assert escape(name) == escaped
