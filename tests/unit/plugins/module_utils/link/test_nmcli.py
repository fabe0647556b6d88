"""What nmcli and ip print, read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plugins.module_utils.link.nmcli import (
    Device,
    UnexpectedOutput,
    parse_devices,
    parse_profiles,
    parse_properties,
    split_terse,
)

FIXTURES = Path(__file__).parents[4] / "fixtures" / "nmcli"


def read(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", [""]),
        ("eth1:ethernet:connected", ["eth1", "ethernet", "connected"]),
        ("eth2::", ["eth2", "", ""]),
        (r"02\:00\:00:x", ["02:00:00", "x"]),
        (r"we\:ird \\ name:u", [r"we:ird \ name", "u"]),
        (r"a\\:b", ["a\\", "b"]),
        ("cut short\\", ["cut short"]),
    ],
)
def test_terse_lines(line: str, fields: list[str]) -> None:
    assert split_terse(line) == fields


@pytest.mark.parametrize(
    ("fixture", "names"),
    [
        ("connections-bare.txt", ["lo", r"we:ird \ name"]),
        ("connections-link0.txt", ["link0", "lo", r"we:ird \ name"]),
        ("connections-two-of-a-name.txt", ["link0", "lo", "link0", r"we:ird \ name"]),
        ("connections-held.txt", ["lo", "office", r"we:ird \ name"]),
    ],
)
def test_profiles(fixture: str, names: list[str]) -> None:
    assert [profile.name for profile in parse_profiles(read(fixture))] == names


def test_a_profile_has_a_numeric_priority() -> None:
    link0 = parse_profiles(read("connections-link0.txt"))[0]
    assert (link0.kind, link0.autoconnect, link0.autoconnect_priority) == ("802-3-ethernet", True, 100)


def test_no_profiles() -> None:
    assert parse_profiles("") == []


def test_a_truncated_line_is_refused() -> None:
    with pytest.raises(UnexpectedOutput, match="expected the fields NAME, UUID"):
        parse_profiles("link0:f719ef45\n")


@pytest.mark.parametrize(
    ("fixture", "name", "value"),
    [
        ("profile-link0.txt", "ipv4.addresses", "192.168.100.1/30"),
        ("profile-link0.txt", "connection.zone", ""),
        ("profile-auto.txt", "802-3-ethernet.mac-address", "02:00:00:00:00:01"),
        ("profile-auto.txt", "802-3-ethernet.mtu", "auto"),
    ],
)
def test_properties(fixture: str, name: str, value: str) -> None:
    assert parse_properties(read(fixture))[name] == value


def test_error_text_is_no_property() -> None:
    with pytest.raises(UnexpectedOutput, match="no ':'"):
        parse_properties("Error\n")


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        (
            "bare",
            {"lo": "connected (externally)", "eth1": "disconnected", "eth2": "disconnected", "eth3": "disconnected"},
        ),
        (
            "link0",
            {"lo": "connected (externally)", "eth1": "connected", "eth2": "disconnected", "eth3": "disconnected"},
        ),
        ("held", {"lo": "connected (externally)", "eth1": "connected", "eth2": "disconnected", "eth3": "unmanaged"}),
    ],
)
def test_device_states(fixture: str, expected: dict[str, str]) -> None:
    devices = parse_devices(read(f"addresses-{fixture}.json"), read(f"devices-{fixture}.txt"))
    assert {device.name: device.state for device in devices} == expected


def test_a_device_joins_kernel_and_networkmanager() -> None:
    devices = parse_devices(read("addresses-link0.json"), read("devices-link0.txt"))
    assert next(device for device in devices if device.name == "eth1") == Device(
        name="eth1",
        kind="ethernet",
        mac_address="b6:90:a4:15:46:8e",
        mtu_bytes=9000,
        max_mtu_bytes=65535,
        addresses=("192.168.100.1/30",),
        state="connected",
        profile_name="link0",
        profile_uuid="f719ef45-001d-4f69-8122-17b5358c89a2",
    )


def test_a_card_in_a_bond_keeps_its_permanent_address() -> None:
    interface = {"ifname": "eth1", "mtu": 1500, "address": "02:00:00:00:00:01", "permaddr": "02:00:00:00:00:0A"}
    [device] = parse_devices(json.dumps([interface]), "eth1:ethernet:connected:bond-eth1:uuid\n")
    assert device.mac_address == "02:00:00:00:00:0a"


def test_a_device_unknown_to_networkmanager_is_unmanaged() -> None:
    [device] = parse_devices('[{"ifname": "eth1", "mtu": 1500}]', "")
    assert (device.state, device.can_carry_a_link) == ("unmanaged", False)


def test_ip_without_json_is_refused() -> None:
    with pytest.raises(UnexpectedOutput, match="did not print JSON"):
        parse_devices("Option -j is unknown", "")
