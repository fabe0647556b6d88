"""What the kernel's table should hold, over a listing of nftables 1.0.6."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.errors import TandemError
from tandem.port_guard import differences, port_ranges

LISTING = (Path(__file__).parents[2] / "fixtures" / "nft" / "table-tandem.json").read_text(encoding="utf-8")
LINKS = [{"name": "link0", "interface": "eth1", "subnet": "192.168.100.0/30"}]
PORTS = ["6379-6385", "20000-20099", "29499-29699"]


@pytest.mark.parametrize(
    ("ports", "ranges"),
    [
        ([], []),
        ([6379], ["6379"]),
        (["29501", "6379-6385", "29499"], ["6379-6385", "29499", "29501"]),
        (["1-3", "4", "2-6"], ["1-6"]),
        (["65535"], ["65535"]),
    ],
)
def test_ports_are_listed_as_nftables_does(ports: list[str | int], ranges: list[str]) -> None:
    assert port_ranges(ports) == ranges


@pytest.mark.parametrize("port", ["", "0", "65536", "20-10", "a", "1-2-3", "-1"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(TandemError, match=r"port_guard_ports: .* is no port or range"):
        port_ranges([port])


def test_our_own_table_has_no_differences() -> None:
    assert differences(LISTING, LINKS, PORTS) == []


def test_a_missing_table_is_one() -> None:
    assert differences("", LINKS, PORTS) == ["there is no table inet tandem"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{"range": [6379, 6385]}, ', "", "it guards the ports"),
        ('"right": "eth1"', '"right": "eth0"', "eth0 from 192.168.100.0/30: accept"),
        ('"len": 30', '"len": 16', "eth1 from 192.168.100.0/16: accept"),
        ('{"drop": null}', '{"accept": null}', "its rules are"),
        ('"right": "syn"', '"right": "ack"', "its rules are"),
        ('"policy": "accept"', '"policy": "drop"', "its chains are"),
    ],
)
def test_what_someone_changed_by_hand_is_told(old: str, new: str, message: str) -> None:
    assert old in LISTING
    [difference] = differences(LISTING.replace(old, new), LINKS, PORTS)
    assert message in difference


def test_another_link_is_a_difference() -> None:
    links = [*LINKS, {"name": "link1", "interface": "eth2", "subnet": "192.168.101.0/30"}]
    [difference] = differences(LISTING, links, PORTS)
    assert "eth2 from 192.168.101.0/30: accept" in difference
