"""What cards and package managers say, over recorded and hand-written output (tests/fixtures/network/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.versions.cards import Driver, UnexpectedOutput, parse_driver, parse_firmware
from plugins.module_utils.versions.packages import DPKG, RPM, parse_dpkg, parse_os_release, parse_rpm, tool_of

FIXTURES = Path(__file__).parents[4] / "fixtures" / "network"
NAMES = ["linux-firmware", "rdma-core"]


@pytest.mark.parametrize(
    ("case", "driver"),
    [
        ("e1000e", Driver("e1000e", "6.1.0-56-amd64", "2.1-0", "0000:01:00.0")),
        ("virtio", Driver("virtio_net", "1.0.0", None, "0000:00:03.0")),
        ("ice", Driver("ice", "6.18.4-200.fc43.x86_64", "4.80 0x8002053d 1.3805.0", "0000:c2:00.0")),
    ],
)
def test_a_driver_names_itself(case: str, driver: Driver) -> None:
    assert parse_driver((FIXTURES / f"driver-{case}.txt").read_text()) == driver


def test_firmware_of_a_virtual_function_is_not_told() -> None:
    assert parse_driver("driver: iavf\nversion: 5.19\nfirmware-version: N/A\nbus-info: 0000:3b:01.0\n").firmware is None


@pytest.mark.parametrize("text", ["", "Cannot get driver information: Operation not supported", "driver:"])
def test_what_is_no_driver_is_an_error(text: str) -> None:
    with pytest.raises(UnexpectedOutput, match="no driver"):
        parse_driver(text)


def test_running_and_stored_firmware_are_told_apart() -> None:
    firmware = parse_firmware((FIXTURES / "devlink-ice.json").read_text())
    assert firmware.running["fw.bundle_id"] == "0x8002053d"
    assert firmware.stored["fw.bundle_id"] == "0x80021f24"
    assert firmware.running["fw.app"] == "1.3.43.0"
    assert "board.id" not in firmware.running


@pytest.mark.parametrize(
    "text", ["", "{}", '{"info":{}}', '{"info":[]}', '{"info":{"a":1,"b":2}}', '{"info":{"pci/0":']
)
def test_what_is_not_one_device_is_an_error(text: str) -> None:
    with pytest.raises(UnexpectedOutput, match="not one device"):
        parse_firmware(text)


def test_a_device_without_versions_has_none() -> None:
    assert parse_firmware('{"info":{"pci/0000:00:03.0":{"driver":"x"}}}').running == {}


def test_rpm_says_in_words_what_is_not_installed() -> None:
    text = "linux-firmware 20260410-1.fc43\npackage rdma-core is not installed\n"
    assert parse_rpm(text, NAMES) == {"linux-firmware": "20260410-1.fc43"}


def test_dpkg_lists_what_is_left_of_a_package() -> None:
    text = "linux-firmware 20230210-5 config-files\nrdma-core 44.0-2 installed\n"
    assert parse_dpkg(text, NAMES) == {"rdma-core": "44.0-2"}


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ('NAME="Fedora Linux"\nID=fedora\nVERSION_ID=43\n', RPM),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\n', RPM),
        ("ID=debian\n", DPKG),
        ("ID=ubuntu\nID_LIKE=debian\n", DPKG),
        ("ID=arch\n", None),
        ("", None),
    ],
)
def test_the_distribution_says_who_knows_its_packages(text: str, tool: tuple[str, ...] | None) -> None:
    assert tool_of(parse_os_release(text)) == tool
