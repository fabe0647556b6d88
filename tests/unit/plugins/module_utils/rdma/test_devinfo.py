"""Reading ibv_devinfo: recorded, of other cards, cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plugins.module_utils.rdma.devinfo import DevinfoDevice, UnexpectedOutput, parse_devinfo
from plugins.module_utils.rdma.gids import Gid

FIXTURES = Path(__file__).parents[4] / "fixtures" / "rdma"

#: Name: state, link layer, active MTU, rate, GIDs of the one port of rxe0.
RECORDED = [
    ("static/ibv_devinfo", "ACTIVE", 4096, None, 0),
    ("static/ibv_devinfo_d_rxe0", "ACTIVE", 4096, None, 0),
    ("static/ibv_devinfo_d_rxe0_i1", "ACTIVE", 4096, None, 0),
    ("static/ibv_devinfo_nonroot", "ACTIVE", 4096, None, 0),
    ("static/ibv_devinfo_v", "ACTIVE", 4096, 2.5, 3),
    ("trixie/ibv_devinfo", "ACTIVE", 4096, None, 0),
    ("trixie/ibv_devinfo_v", "ACTIVE", 4096, 2.5, 3),
    ("fail/carrier_again_ibv_devinfo", "ACTIVE", 4096, None, 0),
    ("fail/mtu1500_ibv_devinfo", "ACTIVE", 1024, None, 0),
    ("fail/nocarrier_ibv_devinfo", "DOWN", 4096, None, 0),
    ("fail/portdown_ibv_devinfo", "DOWN", 4096, None, 0),
    ("fail/portdown_ibv_devinfo_v", "DOWN", 4096, 2.5, 3),
    ("fail/portdown_peer_ibv_devinfo", "ACTIVE", 4096, None, 0),
    ("fail/portup_again_ibv_devinfo", "ACTIVE", 4096, None, 0),
]


def of(case: str) -> list[DevinfoDevice]:
    return parse_devinfo((FIXTURES / "other" / f"devinfo-{case}.out").read_text())


@pytest.mark.parametrize(("name", "state", "active_mtu", "rate", "gids"), RECORDED)
def test_recorded(name: str, state: str, active_mtu: int, rate: float | None, gids: int) -> None:
    (device,) = parse_devinfo((FIXTURES / f"{name}.out").read_text())
    assert (device.name, device.transport, device.firmware_version) == ("rxe0", "InfiniBand", "0.0.0")
    assert (device.vendor_id, device.vendor_part_id, device.board_id) == ("0xffffff", 0, None)
    (port,) = device.ports
    assert (port.port, port.state, port.link_layer) == (1, state, "Ethernet")
    assert (port.max_mtu_bytes, port.active_mtu_bytes, port.rate_gbit_per_s) == (4096, active_mtu, rate)
    assert len(port.gids) == gids


def test_infiniband_and_roce() -> None:
    infiniband, roce = of("mlx5_infiniband_and_roce")
    assert (infiniband.name, infiniband.board_id, infiniband.vendor_part_id) == ("mlx5_0", "MT_0000000224", 4123)
    assert (infiniband.ports[0].link_layer, infiniband.ports[0].rate_gbit_per_s) == ("InfiniBand", 200.0)
    assert infiniband.ports[0].gids == (Gid(0, "fe80::c42:a103:76:1b2a", "InfiniBand", None),)
    assert [(gid.index, gid.gid, gid.type) for gid in roce.ports[0].gids] == [
        (0, "fe80::a288:c2ff:fe30:9a0d", "RoCE v1"),
        (1, "fe80::a288:c2ff:fe30:9a0d", "RoCE v2"),
        (2, "::ffff:10.0.0.5", "RoCE v1"),
        (3, "::ffff:10.0.0.5", "RoCE v2"),
    ]


@pytest.mark.parametrize(
    ("case", "transport", "firmware", "expected"),
    [
        ("irdma_roce", "InfiniBand", "1.71", [(1, "ACTIVE", "Ethernet", 4096, 4096, 100.0)]),
        ("irdma_iwarp", "iWARP", "1.71", [(1, "ACTIVE", "Ethernet", 4096, 4096, 100.0)]),
        ("bnxt_down", "InfiniBand", "218.0.219.13", [(1, "DOWN", "Ethernet", 4096, None, None)]),
        ("hns", "InfiniBand", "1.2", [(1, "ACTIVE", "Ethernet", 4096, 1024, 100.0)]),
        ("siw", "iWARP", None, [(1, "ACTIVE", "Ethernet", None, 1024, 5.0)]),
        ("efa", "unspecified", None, [(1, "ACTIVE", "Unspecified", 4096, 4096, 100.0)]),
        ("hfi1", "InfiniBand", "1.27.0", [(1, "ARMED", "InfiniBand", 4096, 4096, 100.0)]),
        ("usnic", "usNIC UDP", "2.2(2)", [(1, "DOWN", "Ethernet", 4096, None, None)]),
        (
            "mlx4_two_ports",
            "InfiniBand",
            "2.11.500",
            [(1, "INIT", "InfiniBand", 4096, 4096, None), (2, "ACTIVE", "Ethernet", 4096, 1024, None)],
        ),
    ],
)
def test_other_cards(case: str, transport: str, firmware: str | None, expected: list[tuple]) -> None:
    (device,) = of(case)
    assert (device.transport, device.firmware_version) == (transport, firmware)
    assert [
        (p.port, p.state, p.link_layer, p.max_mtu_bytes, p.active_mtu_bytes, p.rate_gbit_per_s) for p in device.ports
    ] == expected


def test_a_bond_and_a_state_without_a_name() -> None:
    bond, other = of("mlx5_bond_62")
    assert (bond.name, bond.board_id) == ("mlx5_bond_0", "MT_0000000838")
    assert (bond.ports[0].rate_gbit_per_s, bond.ports[0].active_mtu_bytes) == (400.0, 1024)
    assert [(gid.index, gid.type) for gid in bond.ports[0].gids if gid.gid == "::ffff:10.0.0.6"] == [
        (10, "RoCE v1"),
        (11, "RoCE v2"),
    ]
    assert (other.ports[0].state, other.ports[0].rate_gbit_per_s, other.ports[0].gids) == ("UNKNOWN", 100.0, ())


@pytest.mark.parametrize(
    "end", ["state:\t\t\tPORT_ACTIVE (4)", "25.0 Gbps (32", "LINK_UP (5", "::ffff:192.168.100.1, RoCE", "link_layer:"]
)
def test_a_last_line_that_is_cut_off_is_an_error(end: str) -> None:
    text = (FIXTURES / "other" / "devinfo-irdma_roce.out").read_text()
    assert end in text
    with pytest.raises(UnexpectedOutput, match="not complete"):
        parse_devinfo(text[: text.index(end) + len(end)])


def test_a_last_line_end_may_be_missing() -> None:
    for case in ("irdma_roce", "hns", "mlx5_infiniband_and_roce", "usnic", "efa"):
        text = (FIXTURES / "other" / f"devinfo-{case}.out").read_text()
        assert parse_devinfo(text.rstrip()) == parse_devinfo(text)


@pytest.mark.parametrize("case", ["mlx5_infiniband_and_roce", "irdma_roce", "mlx4_two_ports", "mlx5_bond_62", "efa"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_output_cut_anywhere_gives_whole_facts_or_an_error(case: str, line_end: str) -> None:
    text = (FIXTURES / "other" / f"devinfo-{case}.out").read_text()
    whole = parse_devinfo(text)
    gids = {gid for device in whole for port in device.ports for gid in port.gids}
    # Without its type behind it, which may be what was cut off.
    gids |= {replace(gid, type=None) for gid in gids}
    errors = 0
    for length in range(len(text)):
        try:
            devices = parse_devinfo(text[:length].replace("\n", line_end))
        except UnexpectedOutput:
            errors += 1
            continue
        for device, complete in zip(devices, whole, strict=False):
            assert replace(device, ports=()) == replace(complete, ports=())
            for port, other in zip(device.ports, complete.ports, strict=True):
                assert replace(port, gids=()) == replace(other, gids=())
                assert gids.issuperset(port.gids)
    assert errors > 0


@pytest.mark.parametrize("name", ["static/ibv_devinfo_l", "fail/nodev_ibv_devinfo_l", "fail/ibv_devinfo_bad_option"])
def test_other_output_is_an_error(name: str) -> None:
    with pytest.raises(UnexpectedOutput, match="no hca_id"):
        parse_devinfo((FIXTURES / f"{name}.out").read_text())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("phys_port_cnt:\t\t\t1", "phys_port_cnt:\t\t\teins", "not a number"),
        ("phys_port_cnt:\t\t\t1", "phys_port_cnt:\t\t\t2", "2 ports announced, 1 described"),
        ("node_guid:\t\t\t669d:99ff:fe3c:1234", "node_guid:\t\t\t669d:99ff", "node_guid"),
        ("link_layer:\t\tEthernet", "link_layer:\t\tEther", "link_layer is 'Ether'"),
        ("state:\t\t\tPORT_ACTIVE (4)", "state:\t\t\tPORT_ACTIVE", "without its number"),
        ("active_speed:\t\t25.0 Gbps (32)\n", "", "active_speed is missing"),
    ],
)
def test_damaged_output_is_an_error(old: str, new: str, why: str) -> None:
    text = (FIXTURES / "other" / "devinfo-irdma_roce.out").read_text()
    assert old in text
    with pytest.raises(UnexpectedOutput, match=why):
        parse_devinfo(text.replace(old, new, 1))
