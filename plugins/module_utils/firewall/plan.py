"""What to ask of firewalld, from what it has to what it should have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .zones import FirewallError, Zone, port_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SSH_PORT = 22


@dataclass(frozen=True)
class State:
    """What firewalld has: now, after a reload, and the zone of whatever has no zone."""

    runtime: Mapping[str, Zone]
    permanent: Mapping[str, Zone]
    default: str

    def exposed(self) -> list[Zone]:
        """Return the zones that packets from other machines come into."""
        return [zone for zone in self.runtime.values() if zone.interfaces or zone.name == self.default]


@dataclass(frozen=True)
class Wanted:
    """The zone that is to be the default."""

    zone: str
    services: frozenset[str]
    ports: frozenset[str]

    def as_zone(self) -> Zone:
        """Return it as firewalld would list it."""
        return Zone(name=self.zone, services=self.services, ports=self.ports)


def wanted_zone(name: str, services: Sequence[str], ports: Sequence[str], ssh_port: int) -> Wanted:
    """Return the zone that was asked for, with SSH whatever else: nobody is to lock himself out.

    ``ssh_port`` is the port that the connection of this very run arrived at.
    """
    for port in ports:
        port_count(port)
    own = {f"{ssh_port}/tcp"} if ssh_port != SSH_PORT else set()
    return Wanted(name, frozenset({*services, "ssh"}), frozenset({*ports, *own}))


def plan(state: State, wanted: Wanted) -> list[list[str]]:
    """Return the arguments of the calls of firewall-cmd that are needed, in their order; the default zone is last."""
    calls: list[list[str]] = []
    is_new = wanted.zone not in state.permanent
    if is_new:
        calls.append(["--permanent", f"--new-zone={wanted.zone}"])
    permanent = state.permanent.get(wanted.zone, Zone(wanted.zone))
    if permanent.other_rules:
        raise FirewallError(
            f"the zone {wanted.zone} has rules that are not Tandem's: {'; '.join(permanent.other_rules)}. Move them "
            "to a zone of their own, or remove them; nothing was changed"
        )
    calls += [["--permanent", f"--zone={wanted.zone}", change] for change in _changes(permanent, wanted)]
    needs_reload = is_new or permanent.target != "default"
    if permanent.target != "default":
        calls.append(["--permanent", f"--zone={wanted.zone}", "--set-target=default"])
    if needs_reload:
        # Neither a new zone nor another target comes into being otherwise.
        calls.append(["--reload"])
    else:
        runtime = state.runtime.get(wanted.zone, Zone(wanted.zone))
        calls += [[f"--zone={wanted.zone}", change] for change in _changes(runtime, wanted)]
    if state.default != wanted.zone:
        calls.append([f"--set-default-zone={wanted.zone}"])
    return calls


def _changes(zone: Zone, wanted: Wanted) -> list[str]:
    """What is opened comes before what is closed."""
    return [
        *(f"--add-service={name}" for name in sorted(wanted.services - zone.services)),
        *(f"--add-port={port}" for port in sorted(wanted.ports - zone.ports)),
        *(f"--remove-service={name}" for name in sorted(zone.services - wanted.services)),
        *(f"--remove-port={port}" for port in sorted(zone.ports - wanted.ports)),
    ]


def open_zones(state: State, wanted: Wanted, accepted: Sequence[str]) -> list[str]:
    """Say which interfaces are in a zone that opens more than a service needs, and would stay there."""
    found = []
    for zone in state.exposed():
        # What is only in the default zone for want of another one moves along with the default.
        stays = zone.name != state.default or (zone.name in state.permanent and state.permanent[zone.name].interfaces)
        if zone.name in (*accepted, wanted.zone) or not zone.wide or not stays:
            continue
        found.append(f"{', '.join(zone.interfaces)} is in zone {zone.name}, which opens {', '.join(zone.wide)}")
    return found


def narrowed(state: State, wanted: Wanted) -> list[str]:
    """Say what the present default zone opens to other machines that will be closed."""
    zone = state.runtime.get(state.default)
    if zone is None or zone.name == wanted.zone:
        return []
    closed = sorted(zone.services - wanted.services) + sorted(zone.ports - wanted.ports)
    if zone.target == "ACCEPT":
        closed.insert(0, "everything (target ACCEPT)")
    return closed


def render(state: State, wanted: Wanted) -> str:
    """Return the default zone, and the wanted one, for Ansible's --diff."""
    lines = [f"default zone: {state.default}"]
    for name, zones in (("now", state.runtime), ("after a reload", state.permanent)):
        zone = zones.get(wanted.zone)
        text = "absent" if zone is None else f"target {zone.target}, {' '.join(sorted(zone.services | zone.ports))}"
        lines.append(f"{wanted.zone} {name}: {text}")
    return "".join(f"{line}\n" for line in lines)


def after(state: State, wanted: Wanted) -> State:
    """Return what the plan leads to."""
    old_runtime = state.runtime.get(wanted.zone, Zone(wanted.zone))
    new = Zone(
        wanted.zone, interfaces=old_runtime.interfaces, services=wanted.services, ports=wanted.ports, target="default"
    )
    return State({**state.runtime, wanted.zone: new}, {**state.permanent, wanted.zone: new}, wanted.zone)
