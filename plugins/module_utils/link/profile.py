"""What a link's profile and device should look like, and what has to change. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .nmcli import Device, Profile

AUTOCONNECT_PRIORITY = 100
# Everything of a profile that Tandem reads, sets and can put back. Other properties are left alone.
MANAGED_PROPERTIES = (
    "connection.interface-name",
    "connection.autoconnect",
    "connection.autoconnect-priority",
    "connection.zone",
    "802-3-ethernet.mac-address",
    "802-3-ethernet.mtu",
    "ipv4.method",
    "ipv4.addresses",
    "ipv4.gateway",
    "ipv4.routes",
    "ipv4.dns",
    "ipv4.never-default",
    "ipv4.may-fail",
    "ipv6.method",
    "ethtool.pause-autoneg",
    "ethtool.pause-rx",
    "ethtool.pause-tx",
)
# What nmcli takes for "not set". It prints nothing in its place, or no such line at all. Known to NetworkManager 1.32.
UNSET_OPTION = "ignore"
OPTIONS = tuple(name for name in MANAGED_PROPERTIES if name.startswith("ethtool."))
# Fixed flow control. NetworkManager refuses rx and tx together with autonegotiation of pause frames.
_PAUSE = dict(zip(OPTIONS, ("off", "on", "on"), strict=True))


class LinkError(Exception):
    """Something a person has to correct; the message says what and where."""


@dataclass(frozen=True)
class LinkSettings:
    """One node's end of one entry of link_links."""

    name: str
    address: str
    mtu_bytes: int
    interface: str | None = None
    mac_address: str | None = None
    zone: str | None = None
    pause: bool | None = None
    """Link-level flow control, both directions; None leaves it as it is."""


@dataclass(frozen=True)
class LinkState:
    """A profile (None: there is none) and what the device really does."""

    properties: Mapping[str, str] | None
    device: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The steps from one state to another; empty when nothing is to be done."""

    create: bool
    modify: Mapping[str, str]
    activate: bool

    @property
    def changes(self) -> bool:
        """Whether anything is to be done."""
        return self.create or bool(self.modify) or self.activate


def check_settings(settings: LinkSettings) -> None:
    """Refuse settings that cannot work, before anything is read or changed."""
    entry = f"link_links entry {settings.name!r}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", settings.name):
        raise LinkError(f"{entry}: a name has letters, digits, '_', '.' and '-' only; it names a file")
    if bool(settings.interface) == bool(settings.mac_address):
        raise LinkError(f"{entry}: give exactly one of interface and mac_address for this node")
    try:
        address = ipaddress.IPv4Interface(settings.address)
    except ValueError as error:
        raise LinkError(f"{entry}: address {settings.address!r} is no IPv4 address with prefix: {error}") from error
    if "/" not in settings.address or address.network.prefixlen == 32:
        raise LinkError(f"{entry}: address {settings.address!r} has no prefix; write it as 192.168.100.1/30")
    if address.network.prefixlen < 31 and address.ip in (
        address.network.network_address,
        address.network.broadcast_address,
    ):
        raise LinkError(f"{entry}: {settings.address} is the network or broadcast address of {address.network}")
    if not 1280 <= settings.mtu_bytes <= 65535:
        raise LinkError(f"{entry}: mtu_bytes {settings.mtu_bytes} is not between 1280 and 65535")


def find_device(devices: Sequence[Device], settings: LinkSettings) -> Device:
    """The one device of this end of the link, able to carry it."""
    entry = f"link_links entry {settings.name!r}"
    cards = [device for device in devices if device.can_carry_a_link]
    if settings.interface:
        wanted = f"interface {settings.interface!r}"
        found = [device for device in cards if device.name == settings.interface]
    else:
        mac_address = (settings.mac_address or "").lower()
        wanted = f"mac_address {mac_address!r}"
        found = [device for device in cards if device.mac_address == mac_address]
    if len(found) != 1:
        listing = ", ".join(f"{device.name} ({device.mac_address})" for device in cards) or "none"
        raise LinkError(
            f"{entry}: {wanted} matches {len(found)} Ethernet devices of this node; found: {listing}. "
            "Correct this node's end of the link in link_links"
        )
    device = found[0]
    if device.state == "unmanaged":
        raise LinkError(
            f"{entry}: NetworkManager does not manage {device.name}. Take it out of unmanaged-devices in "
            "/etc/NetworkManager (or out of /etc/network/interfaces) and reload NetworkManager"
        )
    if device.max_mtu_bytes and settings.mtu_bytes > device.max_mtu_bytes:
        raise LinkError(
            f"{entry}: mtu_bytes {settings.mtu_bytes} is more than {device.name} can do ({device.max_mtu_bytes}); "
            "lower mtu_bytes of the link"
        )
    return device


def find_profile(profiles: Sequence[Profile], name: str) -> Profile | None:
    """The profile with this name; NetworkManager allows several, a link does not."""
    found = [profile for profile in profiles if profile.name == name]
    if len(found) > 1:
        listing = ", ".join(profile.uuid for profile in found)
        raise LinkError(
            f"link_links entry {name!r}: this node has {len(found)} profiles of that name ({listing}). "
            "Delete the wrong ones with 'nmcli connection delete uuid UUID'"
        )
    if found and found[0].kind != "802-3-ethernet":
        raise LinkError(
            f"link_links entry {name!r}: this node has a profile of that name and of type {found[0].kind}. "
            "Rename the link or that profile"
        )
    return found[0] if found else None


def check_rival(profiles: Sequence[Profile], device: Device, name: str) -> Profile | None:
    """The foreign profile that holds the device now, refused if it would win at the next boot."""
    rival = next((profile for profile in profiles if profile.uuid == device.profile_uuid), None)
    if rival is None or rival.name == name:
        return None
    if rival.autoconnect and rival.autoconnect_priority >= AUTOCONNECT_PRIORITY:
        raise LinkError(
            f"link_links entry {name!r}: profile {rival.name!r} holds {device.name} with autoconnect-priority "
            f"{rival.autoconnect_priority} and would take it again at the next boot (links use "
            f"{AUTOCONNECT_PRIORITY}). Run 'nmcli connection modify uuid {rival.uuid} connection.autoconnect no'"
        )
    return rival


def wanted_state(settings: LinkSettings, current: LinkState) -> LinkState:
    """The state in which the link is up as described."""
    properties = {
        "connection.interface-name": settings.interface or "",
        "connection.autoconnect": "yes",
        "connection.autoconnect-priority": str(AUTOCONNECT_PRIORITY),
        "802-3-ethernet.mac-address": (settings.mac_address or "").upper(),
        "802-3-ethernet.mtu": str(settings.mtu_bytes),
        "ipv4.method": "manual",
        "ipv4.addresses": settings.address,
        "ipv4.gateway": "",
        "ipv4.routes": "",
        "ipv4.dns": "",
        "ipv4.never-default": "yes",
        # Up means: the address is there. Nothing may start on a half configured link.
        "ipv4.may-fail": "no",
        "ipv6.method": "link-local",
    }
    if settings.zone is not None:
        properties["connection.zone"] = settings.zone
    if settings.pause is not None:
        properties |= _PAUSE if settings.pause else dict.fromkeys(OPTIONS, UNSET_OPTION)
    device = {
        "profile": settings.name,
        "state": "connected",
        "mtu_bytes": str(settings.mtu_bytes),
        "addresses": settings.address,
    }
    return LinkState({**(current.properties or {}), **properties}, device)


def observed_state(properties: Mapping[str, str] | None, device: Device | None) -> LinkState:
    """The present state in the same terms."""
    if device is None:
        return LinkState(properties)
    return LinkState(
        properties,
        {
            "profile": device.profile_name,
            "state": device.state,
            "mtu_bytes": str(device.mtu_bytes),
            "addresses": ", ".join(device.addresses),
        },
    )


def plan_profile(current: LinkState, wanted: LinkState) -> Plan:
    """What leads from one state to the other. A device that drifted is activated anew."""
    before = current.properties or {}
    after = wanted.properties or {}
    modify = {name: value for name, value in after.items() if before.get(name, "") != value}
    return Plan(
        create=current.properties is None,
        modify=modify,
        activate=bool(modify) or current.properties is None or current.device != wanted.device,
    )


def render(state: LinkState) -> str:
    """The text of both sides of a diff."""
    lines = [] if state.properties is None else sorted(f"{name}: {value}" for name, value in state.properties.items())
    lines += [f"device {name}: {value}" for name, value in sorted(state.device.items())]
    return "".join(f"{line}\n" for line in lines)
