"""What is wanted, and what has to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugins.module_utils.link.nmcli import Device, Profile
from plugins.module_utils.link.profile import (
    LinkError,
    LinkSettings,
    LinkState,
    check_rival,
    check_settings,
    find_device,
    find_profile,
    observed_state,
    plan_profile,
    render,
    wanted_state,
)

SETTINGS = LinkSettings("link0", "192.168.100.1/30", 9000, interface="eth1")
DEVICE = Device(
    name="eth1",
    kind="ethernet",
    mac_address="02:00:00:00:00:01",
    mtu_bytes=9000,
    max_mtu_bytes=9710,
    addresses=("192.168.100.1/30",),
    state="connected",
    profile_name="link0",
    profile_uuid="uuid-link0",
)
OURS = Profile("link0", "uuid-link0", "802-3-ethernet", autoconnect=True, autoconnect_priority=100)
OFFICE = Profile("office", "uuid-office", "802-3-ethernet", autoconnect=True, autoconnect_priority=0)


def up() -> LinkState:
    return observed_state(wanted_state(SETTINGS, LinkState(None)).properties, DEVICE)


def test_a_link_that_is_up_needs_nothing() -> None:
    assert not plan_profile(up(), wanted_state(SETTINGS, up())).changes


def test_a_missing_profile_is_made_without_empty_properties() -> None:
    plan = plan_profile(LinkState(None), wanted_state(SETTINGS, LinkState(None)))
    assert plan.create
    assert plan.activate
    assert all(plan.modify.values())


@pytest.mark.parametrize(
    "drift",
    [
        {"mtu_bytes": 1500},
        {"addresses": ()},
        {"addresses": ("192.168.100.1/30", "10.0.0.1/8")},
        {"state": "disconnected"},
        {"profile_name": "office"},
    ],
)
def test_a_device_that_drifted_is_activated_and_the_profile_left_alone(drift: dict[str, object]) -> None:
    current = observed_state(up().properties, replace(DEVICE, **drift))  # type: ignore[arg-type]
    plan = plan_profile(current, wanted_state(SETTINGS, current))
    assert (plan.create, dict(plan.modify), plan.activate) == (False, {}, True)


def test_only_what_differs_is_modified() -> None:
    current = up()
    wanted = wanted_state(replace(SETTINGS, mtu_bytes=1500), current)
    assert dict(plan_profile(current, wanted).modify) == {"802-3-ethernet.mtu": "1500"}


def test_the_zone_is_managed_only_when_given() -> None:
    current = LinkState({**(up().properties or {}), "connection.zone": "work"}, up().device)
    assert not plan_profile(current, wanted_state(SETTINGS, current)).changes
    wanted = wanted_state(replace(SETTINGS, zone="tandem"), current)
    assert dict(plan_profile(current, wanted).modify) == {"connection.zone": "tandem"}


FIXED_PAUSE = {"ethtool.pause-autoneg": "off", "ethtool.pause-rx": "on", "ethtool.pause-tx": "on"}


def test_flow_control_is_managed_only_when_given() -> None:
    current = LinkState({**(up().properties or {}), **FIXED_PAUSE}, up().device)
    assert not plan_profile(current, wanted_state(SETTINGS, current)).changes
    assert not plan_profile(current, wanted_state(replace(SETTINGS, pause=True), current)).changes
    wanted = wanted_state(replace(SETTINGS, pause=False), current)
    assert dict(plan_profile(current, wanted).modify) == dict.fromkeys(FIXED_PAUSE, "ignore")
    plan = plan_profile(up(), wanted_state(replace(SETTINGS, pause=True), up()))
    assert (dict(plan.modify), plan.activate) == (FIXED_PAUSE, True)


def test_a_diff_shows_profile_and_device() -> None:
    text = render(up())
    assert "802-3-ethernet.mtu: 9000\n" in text
    assert "device addresses: 192.168.100.1/30\n" in text
    assert render(LinkState(None)) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../x"}, "it names a file"),
        ({"interface": None}, "exactly one of interface and mac_address"),
        ({"mac_address": "02:00:00:00:00:01"}, "exactly one of interface and mac_address"),
        ({"address": "192.168.100.300/30"}, "no IPv4 address"),
        ({"address": "fd00::1/64"}, "no IPv4 address"),
        ({"address": "192.168.100.1"}, "has no prefix"),
        ({"address": "192.168.100.3/30"}, "network or broadcast address of 192.168.100.0/30"),
        ({"mtu_bytes": 576}, "not between 1280 and 65535"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(LinkError, match=message) as caught:
        check_settings(replace(SETTINGS, **change))  # type: ignore[arg-type]
    assert "link_links entry" in str(caught.value)


def test_a_31_bit_prefix_has_no_broadcast_address() -> None:
    check_settings(replace(SETTINGS, address="192.168.100.0/31"))


def test_a_device_is_found_by_name_or_mac_address() -> None:
    by_mac = replace(SETTINGS, interface=None, mac_address="02:00:00:00:00:01".upper())
    assert find_device([DEVICE], SETTINGS) == find_device([DEVICE], by_mac) == DEVICE


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ([replace(DEVICE, name="eth2")], r"interface 'eth1' matches 0 .* found: eth2 \(02:00:00:00:00:01\)"),
        ([], "found: none"),
        ([replace(DEVICE, kind="wifi")], "matches 0"),
        ([replace(DEVICE, state="unmanaged")], "does not manage eth1"),
        ([replace(DEVICE, max_mtu_bytes=1500)], r"more than eth1 can do \(1500\)"),
    ],
)
def test_a_wrong_device_is_explained(devices: list[Device], message: str) -> None:
    with pytest.raises(LinkError, match=message):
        find_device(devices, SETTINGS)


def test_a_vlan_with_the_mac_address_of_its_port_is_not_taken_for_it() -> None:
    by_mac = replace(SETTINGS, interface=None, mac_address=DEVICE.mac_address)
    assert find_device([replace(DEVICE, name="eth1.5", kind="vlan"), DEVICE], by_mac) == DEVICE


def test_profiles_of_one_name() -> None:
    assert find_profile([OFFICE, OURS], "link0") == OURS
    assert find_profile([OFFICE], "link0") is None
    with pytest.raises(LinkError, match=r"2 profiles of that name \(uuid-link0, uuid-2\)"):
        find_profile([OURS, replace(OURS, uuid="uuid-2")], "link0")
    with pytest.raises(LinkError, match="of type bridge"):
        find_profile([replace(OURS, kind="bridge")], "link0")


def test_a_rival_is_told_unless_it_would_win_at_boot() -> None:
    held = replace(DEVICE, profile_name="office", profile_uuid="uuid-office")
    assert check_rival([OFFICE, OURS], held, "link0") == OFFICE
    assert check_rival([OFFICE, OURS], DEVICE, "link0") is None
    assert check_rival([replace(OFFICE, autoconnect=False, autoconnect_priority=200)], held, "link0") is not None
    with pytest.raises(LinkError, match=r"connection\.autoconnect no"):
        check_rival([replace(OFFICE, autoconnect_priority=100)], held, "link0")
