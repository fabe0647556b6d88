"""The edge to NetworkManager: which commands are run, and what their failure means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .nmcli import DEVICE_FIELDS, PROFILE_FIELDS, Device, Profile, parse_devices, parse_profiles, parse_properties
from .profile import MANAGED_PROPERTIES, OPTIONS, UNSET_OPTION, LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..process import CommandResult

READ_TIMEOUT_S = 20.0
ACTIVATION_TIMEOUT_S = 45


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


class NetworkManager:
    """NetworkManager of this node, by nmcli; devices by ip as well."""

    def __init__(self, run: Runner) -> None:
        """Use this runner for every command."""
        self._run = run

    def profiles(self) -> list[Profile]:
        """All profiles, active or not."""
        return parse_profiles(self._read("nmcli", "-t", "-f", ",".join(PROFILE_FIELDS), "connection", "show"))

    def devices(self) -> list[Device]:
        """All interfaces, as kernel and NetworkManager have them."""
        seen = self._read("nmcli", "-t", "-f", ",".join(DEVICE_FIELDS), "device", "status")
        return parse_devices(self._read("ip", "-j", "-d", "address", "show"), seen)

    def properties(self, uuid: str) -> dict[str, str]:
        """The managed properties of one profile."""
        fields = ",".join(MANAGED_PROPERTIES)
        found = parse_properties(self._read("nmcli", "-t", "-f", fields, "connection", "show", "uuid", uuid))
        return found | {option: found.get(option) or UNSET_OPTION for option in OPTIONS}

    def add(self, name: str, interface: str | None, properties: Mapping[str, str]) -> None:
        """Make a profile; without an interface it is for the device that its properties match."""
        others = {key: value for key, value in properties.items() if key != "connection.interface-name"}
        device = ("ifname", interface or "*")
        self._read("nmcli", "connection", "add", "type", "ethernet", "con-name", name, *device, *_flat(others))

    def modify(self, uuid: str, properties: Mapping[str, str]) -> None:
        """Set properties of a profile; the device is not touched."""
        self._read("nmcli", "connection", "modify", "uuid", uuid, *_flat(properties))

    def activate(self, uuid: str, interface: str) -> None:
        """Bring a profile up on a device and wait until it is."""
        wait = str(ACTIVATION_TIMEOUT_S)
        argv = ("nmcli", "--wait", wait, "connection", "up", "uuid", uuid, "ifname", interface)
        self._read(*argv, timeout_s=ACTIVATION_TIMEOUT_S + 15)

    def deactivate(self, uuid: str) -> None:
        """Take a profile down."""
        self._read("nmcli", "connection", "down", "uuid", uuid)

    def delete(self, uuid: str) -> None:
        """Delete a profile; its device loses the address."""
        self._read("nmcli", "connection", "delete", "uuid", uuid)

    def _read(self, *argv: str, timeout_s: float = READ_TIMEOUT_S) -> str:
        result = self._run(argv, timeout_s=timeout_s)
        if result.returncode != 0:
            said = " ".join((result.stderr or result.stdout).split())
            raise LinkError(f"{' '.join(argv)} failed with status {result.returncode}: {said}")
        return result.stdout


def _flat(properties: Mapping[str, str]) -> list[str]:
    return [word for item in properties.items() for word in item]
