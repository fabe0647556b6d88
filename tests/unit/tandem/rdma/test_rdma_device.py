"""The device of a link, and what keeps it from working."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.errors import TandemError
from tandem.rdma.device import device_of, failures, lookup

LINK = {"name": "link0", "interface": "enp194s0np0", "address": "192.168.100.1"}
GIDS = [
    {"index": 0, "gid": "fe80::5054:ff:fe64:1", "type": "RoCE v2", "netdev": "enp194s0np0"},
    {"index": 1, "gid": "::ffff:192.168.100.1", "type": "RoCE v2", "netdev": "enp194s0np0"},
]


def port(**changes: Any) -> dict[str, Any]:
    return {"port": 1, "state": "ACTIVE", "link_layer": "Ethernet", "netdev": "enp194s0np0", "gids": GIDS} | changes


def device(name: str = "rocep194s0", *ports: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "vendor_id": "0x8086", "ports": list(ports) or [port()]}


def test_a_device_comes_with_the_port_of_the_link_only() -> None:
    other = device("mlx5_0", port(netdev="ens1f0"), port(port=2))
    assert device_of([device("rxe0", port(netdev=None)), other], "enp194s0np0") == {**other, "ports": [port(port=2)]}


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ([], "no RDMA device is on enp194s0np0; found: none"),
        ([device("rocep1s0", port(netdev="ens1"))], r"found: rocep1s0 \(ens1\)"),
        ([device("rxe0", port(netdev=None), port(netdev="a"))], r"found: rxe0 \(no interface, a\)"),
        ([device(), device("rxe0")], "2 RDMA ports are on enp194s0np0: rocep194s0, rxe0"),
    ],
)
def test_a_device_that_cannot_be_told_is_explained(devices: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(TandemError, match=words) as caught:
        device_of(devices, "enp194s0np0")
    assert lookup(devices, "enp194s0np0") == {"device": None, "error": str(caught.value)}
    assert failures(devices, [LINK]) == [f"link link0: {caught.value}"]


def test_a_device_that_works_has_no_failures() -> None:
    assert failures([device()], [LINK]) == []
    assert lookup([device()], "enp194s0np0") == {"device": device(), "error": None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "DOWN"}, "rocep194s0 port 1 on enp194s0np0 is DOWN, not ACTIVE"),
        ({"link_layer": "InfiniBand"}, "has link layer InfiniBand, not Ethernet"),
        ({"gids": []}, "has no RoCE v2 GID of 192.168.100.1: found: none"),
        ({"gids": GIDS[:1]}, "found: 0 fe80::5054:ff:fe64:1 (RoCE v2)"),
        ({"gids": [GIDS[1] | {"gid": "::ffff:10.0.0.1"}]}, "found: 1 ::ffff:10.0.0.1 (RoCE v2)"),
        ({"gids": [GIDS[1] | {"type": "RoCE v1"}]}, "only of type RoCE v1; set the card to RoCE v2"),
        ({"gids": [GIDS[1] | {"gid": "nonsense"}]}, "found: 1 nonsense"),
    ],
)
def test_a_port_that_does_not_work_says_why(changes: dict[str, Any], words: str) -> None:
    (failure,) = failures([device("rocep194s0", port(**changes))], [LINK])
    assert failure.startswith("link link0: rocep194s0 port 1 on enp194s0np0")
    assert words in failure


def test_a_gid_in_hexadecimal_is_the_same_address() -> None:
    gid = GIDS[1] | {"gid": "0000:0000:0000:0000:0000:ffff:c0a8:6401"}
    assert failures([device("rocep194s0", port(gids=[gid]))], [LINK]) == []


def test_every_link_and_every_fault_is_told() -> None:
    links = [LINK, LINK | {"name": "link1", "interface": "ens1"}]
    found = failures([device("rocep194s0", port(state="DOWN", gids=[]))], links)
    assert [failure.partition(":")[0] for failure in found] == ["link link0", "link link0", "link link1"]
