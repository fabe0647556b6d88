"""What ``firewall-cmd --list-all-zones`` says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: More ports than this in one range are not a service's, they are everybody's. Fedora Workstation opens 1025-65535.
WIDE_PORTS = 1000
_HEADER = re.compile(r"(?P<name>[A-Za-z0-9_/-]+)(?: \((?P<flags>[^)]*)\))?")
_PORT = re.compile(r"(\d+)(?:-(\d+))?/(tcp|udp|sctp|dccp)")


class FirewallError(Exception):
    """The firewall cannot be what was asked for; the message is meant for a person."""


@dataclass(frozen=True)
class Zone:
    """One zone. Rules beyond services and ports are kept as firewalld writes them."""

    name: str
    target: str = "default"
    interfaces: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    services: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    other_rules: tuple[str, ...] = field(default=())

    @property
    def wide(self) -> list[str]:
        """What of it opens more than a service needs."""
        found = ["everything (target ACCEPT)"] if self.target == "ACCEPT" else []
        return found + sorted(port for port in self.ports if port_count(port) > WIDE_PORTS)


def port_count(port: str) -> int:
    """Return how many ports firewalld's 1025-65535/tcp is."""
    match = _PORT.fullmatch(port)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise FirewallError(f"{port!r} is no port of firewalld; write 8080/tcp or 5000-5010/udp")
    return last - first + 1


def parse_zones(text: str) -> dict[str, Zone]:
    """Parse the listing; lines that a newer firewalld adds are left out."""
    zones = {}
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        match = _HEADER.fullmatch(lines[0].strip()) if lines else None
        if match and not lines[0].startswith((" ", "\t")):
            zones[match["name"]] = _zone(match["name"], lines[1:])
    return zones


def _zone(name: str, lines: Sequence[str]) -> Zone:
    values: dict[str, str] = {}
    rich: list[str] = []
    for line in lines:
        if line.startswith("\t"):
            rich.append(line.strip())
        else:
            key, _, value = line.strip().partition(":")
            values[key] = value.strip()
    return Zone(
        name=name,
        target=values.get("target", "default"),
        interfaces=tuple(values.get("interfaces", "").split()),
        sources=tuple(values.get("sources", "").split()),
        services=frozenset(values.get("services", "").split()),
        ports=frozenset(values.get("ports", "").split()),
        other_rules=(*_others(values), *rich),
    )


def _others(values: Mapping[str, str]) -> list[str]:
    kinds = ("protocols", "forward-ports", "source-ports")
    return [f"{kind} {values[kind]}" for kind in kinds if values.get(kind)]
