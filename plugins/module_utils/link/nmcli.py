"""Reading what ``nmcli`` and ``ip`` print. Pure: text in, dataclasses out."""

from __future__ import annotations

import json
from dataclasses import dataclass

PROFILE_FIELDS = ("NAME", "UUID", "TYPE", "AUTOCONNECT", "AUTOCONNECT-PRIORITY")
DEVICE_FIELDS = ("DEVICE", "TYPE", "STATE", "CONNECTION", "CON-UUID")


class UnexpectedOutput(Exception):
    """A tool printed something this code was not written for."""


@dataclass(frozen=True)
class Profile:
    """One line of ``nmcli connection show``."""

    name: str
    uuid: str
    kind: str
    autoconnect: bool
    autoconnect_priority: int


@dataclass(frozen=True)
class Device:
    """A network interface as the kernel has it and as NetworkManager sees it."""

    name: str
    kind: str
    mac_address: str
    mtu_bytes: int
    max_mtu_bytes: int
    addresses: tuple[str, ...]
    state: str
    profile_name: str
    profile_uuid: str

    @property
    def can_carry_a_link(self) -> bool:
        """Ethernet only: a VLAN or bond shares its MAC address with the port below it."""
        return self.kind in ("ethernet", "veth")


def split_terse(line: str) -> list[str]:
    r"""Split one line of ``nmcli -t`` at its colons; ``\:`` and ``\\`` stand for themselves."""
    fields = [""]
    characters = iter(line)
    for character in characters:
        if character == "\\":
            fields[-1] += next(characters, "")
        elif character == ":":
            fields.append("")
        else:
            fields[-1] += character
    return fields


def parse_profiles(text: str) -> list[Profile]:
    """Read ``nmcli -t -f PROFILE_FIELDS connection show``."""
    return [
        Profile(name, uuid, kind, autoconnect == "yes", int(priority))
        for name, uuid, kind, autoconnect, priority in _rows(text, PROFILE_FIELDS)
    ]


def parse_properties(text: str) -> dict[str, str]:
    """Read ``nmcli -t -f PROPERTIES connection show``: one ``name:value`` a line, not escaped."""
    properties = {}
    for line in text.splitlines():
        name, separator, value = line.partition(":")
        if not separator:
            raise UnexpectedOutput(f"nmcli connection show: no ':' in {line!r}")
        properties[name] = value
    return properties


def parse_devices(ip_text: str, nmcli_text: str) -> list[Device]:
    """Join ``ip -j -d address show`` with ``nmcli -t -f DEVICE_FIELDS device status``."""
    seen = {row[0]: row[1:] for row in _rows(nmcli_text, DEVICE_FIELDS)}
    try:
        interfaces = json.loads(ip_text)
    except ValueError as error:
        raise UnexpectedOutput(f"ip -j address show did not print JSON: {error}") from error
    devices = []
    for interface in interfaces:
        name = interface["ifname"]
        kind, state, profile_name, profile_uuid = seen.get(name, ["unknown", "unmanaged", "", ""])
        devices.append(
            Device(
                name=name,
                kind=kind,
                # NetworkManager matches the address burnt into the card, not an assumed one.
                mac_address=interface.get("permaddr", interface.get("address", "")).lower(),
                mtu_bytes=interface["mtu"],
                max_mtu_bytes=interface.get("max_mtu", 0),
                addresses=tuple(
                    f"{entry['local']}/{entry['prefixlen']}"
                    for entry in interface.get("addr_info", [])
                    if entry["family"] == "inet"
                ),
                state=state,
                profile_name=profile_name,
                profile_uuid=profile_uuid,
            )
        )
    return devices


def _rows(text: str, fields: tuple[str, ...]) -> list[list[str]]:
    rows = [split_terse(line) for line in text.splitlines() if line]
    for row in rows:
        if len(row) != len(fields):
            raise UnexpectedOutput(f"nmcli: expected the fields {', '.join(fields)}, found {row!r}")
    return rows
