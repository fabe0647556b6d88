"""PCIe facts from trees in a folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plugins.module_utils.rdma.pcie import Pcie, ceiling_gbit_per_s, read_pcie

FIXTURES = Path(__file__).parents[4] / "fixtures" / "rdma"


def pci(directory: Path, speed: str, width: str, max_speed: str = "16.0 GT/s PCIe", max_width: str = "16") -> Path:
    """A PCI device or bridge; an empty value is a missing file."""
    directory.mkdir(parents=True)
    for name, value in (
        ("current_link_speed", speed),
        ("current_link_width", width),
        ("max_link_speed", max_speed),
        ("max_link_width", max_width),
    ):
        if value:
            (directory / name).write_text(f"{value}\n")
    return directory


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    return tmp_path / "devices" / "pci0000:00"


@pytest.mark.parametrize(
    ("speed", "width", "ceiling"),
    [(2.5, 4, 8.0), (5.0, 4, 16.0), (8.0, 1, 7.877), (16.0, 4, 63.015), (32.0, 16, 504.123), (64.0, 4, 256.0)],
)
def test_ceiling(speed: float, width: int, ceiling: float) -> None:
    assert ceiling_gbit_per_s(speed, width) == ceiling
    assert ceiling_gbit_per_s(None, width) is None
    assert ceiling_gbit_per_s(speed, None) is None


def test_a_narrow_slot_is_told_beside_its_card(tmp_path: Path, bus: Path) -> None:
    slot = pci(bus / "0000:00:02.5", "16.0 GT/s PCIe", "4", max_width="4")
    card = pci(slot / "0000:c2:00.0", "16.0 GT/s PCIe", "4")
    assert read_pcie(tmp_path, card) == Pcie("0000:c2:00.0", 16.0, 4, 16.0, 16, 63.015, 16.0, 4)


def test_a_riser_trained_too_low_is_seen(tmp_path: Path, bus: Path) -> None:
    slot = pci(bus / "0000:00:02.5", "8.0 GT/s PCIe", "1", max_width="4")
    card = pci(slot / "0000:c2:00.0", "8.0 GT/s PCIe", "1")
    assert read_pcie(tmp_path, card) == Pcie("0000:c2:00.0", 8.0, 1, 16.0, 16, 7.877, 16.0, 4)


def test_the_slowest_link_of_the_way_is_the_ceiling(tmp_path: Path, bus: Path) -> None:
    root = pci(bus / "0000:00:01.0", "8 GT/s", "4")
    upstream = pci(root / "0000:01:00.0", "8 GT/s", "4")
    downstream = pci(upstream / "0000:02:01.0", "16.0 GT/s PCIe", "8")
    card = pci(downstream / "0000:03:00.0", "16.0 GT/s PCIe", "8")
    found = read_pcie(tmp_path, card)
    assert found is not None
    assert (found.width, found.ceiling_gbit_per_s) == (8, 31.508)


def test_a_part_of_a_device_counts_as_the_device(tmp_path: Path, bus: Path) -> None:
    card = pci(bus / "0000:c2:00.0", "Unknown", "0", "Unknown speed", "255")
    (card / "virtio3").mkdir()
    link = tmp_path / "class" / "net" / "eth0"
    link.mkdir(parents=True)
    (link / "device").symlink_to(card / "virtio3")
    assert read_pcie(tmp_path, link / "device") == Pcie("0000:c2:00.0", None, None, None, None, None)


def test_an_address_in_the_uevent_will_do(tmp_path: Path) -> None:
    device = pci(tmp_path / "device", "16.0 GT/s PCIe", "8", "", "")
    (device / "uevent").write_text("DRIVER=ice\nPCI_SLOT_NAME=0000:c2:00.0\n")
    assert read_pcie(tmp_path, device) == Pcie("0000:c2:00.0", 16.0, 8, None, None, 126.031)


def test_what_is_not_on_pci_has_none(tmp_path: Path) -> None:
    (tmp_path / "devices" / "platform" / "hns").mkdir(parents=True)
    assert read_pcie(tmp_path, tmp_path / "devices" / "platform" / "hns") is None
    assert read_pcie(tmp_path, tmp_path / "nowhere") is None
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert read_pcie(tmp_path, tmp_path / "circle") is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("0000:01:00.0", (2.5, 1, 2.5, 1, 2.0)),
        ("0000:00:08.0", (16.0, 4, 16.0, 4, 63.015)),
        # A port without a device below, and a device that is not PCI Express.
        ("0000:05:00.0", (2.5, 1, None, None, 2.0)),
        ("0000:00:03.0", (None, None, None, None, None)),
    ],
)
def test_recorded_values(tmp_path: Path, bus: Path, address: str, expected: tuple) -> None:
    line = re.search(
        rf"^{address} .*$", (FIXTURES / "pcie" / "sysfs_link").with_suffix(".out").read_text(), re.MULTILINE
    )[0]
    values = dict(re.findall(r"(\w+_link_\w+)=\[([^]]*)\]", line))
    names = ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width")
    device = pci(bus / address, *(values.get(name, "") for name in names))
    found = read_pcie(tmp_path, device)
    assert found == Pcie(address, *expected)
