"""GIDs, network interfaces and rates from a sysfs tree in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.rdma.gids import Gid, canonical_gid, gid_type, roce_v2_ipv4_gid_index
from plugins.module_utils.rdma.sysfs import DeviceTree

FIXTURES = Path(__file__).parents[4] / "fixtures" / "rdma"
EMPTY = "0000:0000:0000:0000:0000:0000:0000:0000"
IPV4 = "0000:0000:0000:0000:0000:ffff:0a00:0005"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def port_of(root: Path, table: dict[int, tuple[str, str | None, str | None]], device: str = "mlx5_1") -> DeviceTree:
    """A device whose port 1 has this GID table; None is an attribute that cannot be read."""
    port = root / "class" / "infiniband" / device / "ports" / "1"
    for index, (gid, kind, netdev) in table.items():
        write(port / "gids" / str(index), gid)
        for name, value in (("types", kind), ("ndevs", netdev)):
            path = port / "gid_attrs" / name / str(index)
            if value is None:
                # Reading a directory fails, as reading the type of an empty slot does (EINVAL).
                path.mkdir(parents=True)
            else:
                write(path, value)
    return DeviceTree(root, device)


@pytest.mark.parametrize("distribution", ["static", "trixie"])
def test_recorded_table(tmp_path: Path, distribution: str) -> None:
    table = {}
    for line in (FIXTURES / distribution / "gid_table").with_suffix(".out").read_text().splitlines():
        if distribution == "trixie":
            path, _, value = line.partition(":")
            kind, index = path.rsplit("/", 2)[1:]
            row = table.setdefault(int(index), [EMPTY, None, None])
            row[["gids", "types", "ndevs"].index(kind)] = value
        else:
            index, gid, rest = line.split(" ", 2)
            table[int(index)] = [gid, *rest.rsplit(" ", 1)]
    found = port_of(tmp_path, table).gids(1, "Ethernet", {})
    assert [(gid.index, gid.type, gid.netdev) for gid in found] == [(i, "RoCE v2", "enp0s3") for i in range(3)]
    assert found[1].gid == "::ffff:192.168.100.1"
    assert roce_v2_ipv4_gid_index(found) == 1


def test_slots_that_are_empty_or_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    table = {
        0: ("fe80:0000:0000:0000:a288:c2ff:fe30:9a0d", "IB/RoCE v1", "eth1"),
        2: (IPV4, "IB/RoCE v1", "eth1"),
        3: (IPV4, "RoCE v2", "eth1"),
        10: ("0000:0000:0000:0000:0000:ffff:0a00:0006", "RoCE v2", "eth1.7"),
        4: (EMPTY, None, None),
        5: ("fe80:0000:0000:0000:0000:0000:0000:0001", None, None),
        6: ("fe80:0000:0000:0000:0000:0000:0000:0002", "RoCE v9", "eth1"),
    }
    found = port_of(tmp_path, table).gids(1, "Ethernet", {})
    assert [(gid.index, gid.type) for gid in found] == [(0, "RoCE v1"), (2, "RoCE v1"), (3, "RoCE v2"), (10, "RoCE v2")]
    assert roce_v2_ipv4_gid_index(found) == 3


def test_free_slots_of_infiniband_have_the_prefix_of_the_subnet(tmp_path: Path) -> None:
    table = {
        0: ("fe80:0000:0000:0000:0c42:a103:0076:1b2a", "IB/RoCE v1", None),
        1: ("fe80:0000:0000:0000:0000:0000:0000:0000", "IB/RoCE v1", None),
    }
    found = port_of(tmp_path, table).gids(1, "InfiniBand", {})
    assert found == [Gid(0, "fe80::c42:a103:76:1b2a", "InfiniBand", None)]


def test_the_interface_of_an_auxiliary_device_is_that_of_the_card(tmp_path: Path) -> None:
    card = tmp_path / "devices" / "pci0000:c0" / "0000:c0:01.1" / "0000:c2:00.0"
    write(card / "net" / "enp194s0np0" / "dev_port", "0")
    (card / "ice.roce.0").mkdir()
    device = tmp_path / "class" / "infiniband" / "rocep194s0"
    device.mkdir(parents=True)
    (device / "device").symlink_to(card / "ice.roce.0")
    tree = DeviceTree(tmp_path, "rocep194s0")
    assert tree.netdev(1, [], only_port=True) == "enp194s0np0"
    pcie = tree.pcie([])
    assert pcie is not None
    assert pcie.address == "0000:c2:00.0"


def test_types_of_a_kernel_without_them_come_from_the_tool(tmp_path: Path) -> None:
    gids = tmp_path / "class" / "infiniband" / "mlx4_0" / "ports" / "1" / "gids"
    write(gids / "0", IPV4)
    write(gids / "1", IPV4)
    tree = DeviceTree(tmp_path, "mlx4_0")
    named = {1: Gid(1, "::ffff:10.0.0.5", "RoCE v2", None)}
    assert [gid.type for gid in tree.gids(1, "Ethernet", named)] == [None, "RoCE v2"]
    assert [gid.type for gid in tree.gids(1, "InfiniBand", {})] == ["InfiniBand", "InfiniBand"]


def test_a_device_that_sysfs_does_not_have(tmp_path: Path) -> None:
    tree = DeviceTree(tmp_path, "mlx5_9")
    assert tree.gids(1, "Ethernet", {}) is None
    assert tree.netdev(1, [], only_port=True) is None
    assert tree.rate_gbit_per_s(1) is None
    assert tree.pcie(["eth0", None]) is None


@pytest.mark.parametrize(
    ("link_layer", "text", "expected"),
    [
        ("Ethernet", "IB/RoCE v1", "RoCE v1"),
        ("Ethernet", "RoCE  v2", "RoCE v2"),
        ("Ethernet", "Invalid gid type", None),
        ("InfiniBand", "IB/RoCE v1", "InfiniBand"),
        ("InfiniBand", "", "InfiniBand"),
        ("Ethernet", "", None),
    ],
)
def test_gid_type(link_layer: str, text: str, expected: str | None) -> None:
    assert gid_type(text, link_layer) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(EMPTY, None), ("", None), ("::1.2.3", None), (IPV4, "::ffff:10.0.0.5"), ("fe80:0:0:0:0:0:0:a", "fe80::a")],
)
def test_canonical_gid(text: str, expected: str | None) -> None:
    assert canonical_gid(text) == expected


def test_an_interface_by_its_port_number(tmp_path: Path) -> None:
    device = tmp_path / "class" / "infiniband" / "mlx4_0"
    write(device / "device" / "net" / "eth2" / "dev_port", "0")
    write(device / "device" / "net" / "eth3" / "dev_port", "1")
    tree = DeviceTree(tmp_path, "mlx4_0")
    assert [tree.netdev(port, [], only_port=False) for port in (1, 2, 3)] == ["eth2", "eth3", None]


def test_the_only_interface_of_a_card_is_that_of_its_only_port(tmp_path: Path) -> None:
    write(tmp_path / "class" / "infiniband" / "rocep2" / "device" / "net" / "enp2" / "dev_port", "1")
    assert DeviceTree(tmp_path, "rocep2").netdev(1, [], only_port=True) == "enp2"


def test_an_emulated_device_names_its_interface(tmp_path: Path) -> None:
    write(tmp_path / "class" / "infiniband" / "rxe0" / "parent", "enp0s3")
    assert DeviceTree(tmp_path, "rxe0").netdev(1, [], only_port=True) == "enp0s3"


@pytest.mark.parametrize(
    ("text", "expected"), [("100 Gb/sec (4X EDR)", 100.0), ("2.5 Gb/sec (1X SDR)", 2.5), ("0 Gb/sec (1X)", None)]
)
def test_rate(tmp_path: Path, text: str, expected: float | None) -> None:
    write(tmp_path / "class" / "infiniband" / "mlx5_0" / "ports" / "1" / "rate", text)
    assert DeviceTree(tmp_path, "mlx5_0").rate_gbit_per_s(1) == expected
