"""Do the settings of the host layer have the forms that systemd, firewalld and the kernel know?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tandem.errors import TandemError
from tandem.host import size_bytes
from tandem.inventory.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tandem.inventory.description import Description

SIZES = (
    *("memory_guard_ssh_memory_min", "memory_guard_login_memory_min", "memory_guard_system_memory_min"),
    *("journal_max_use", "journal_keep_free", "journal_runtime_max_use"),
)
#: These may also have no end.
LIMITS = ("memory_guard_engines_memory_max", "memory_guard_engines_swap_max")
PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?/(?:tcp|udp|sctp|dccp)")
SETTING = re.compile(r"[a-z0-9_]+(?:\.[A-Za-z0-9_/-]+)+")
WIDE_PORTS = 1000


def find_host_problems(description: Description) -> Iterator[Problem]:
    """Check what each host has of these; a fault that all hosts share is told once by the caller."""
    for variables in description.variables.values():
        yield from _check_sizes(variables)
        yield from _check_ports(variables)
        yield from _check_rest(variables)
        yield from _check_zones(variables)


def _check_sizes(variables: Mapping[str, Any]) -> Iterator[Problem]:
    for name in (*SIZES, *LIMITS):
        value = variables.get(name)
        if value is None or (name in LIMITS and value == "infinity") or isinstance(value, list | dict):
            continue
        try:
            size_bytes(value)
        except TandemError:
            also = ", or infinity" if name in LIMITS else ""
            yield Problem(name, f"found {value!r}", f"give bytes, or a whole number with K, M, G or T (512M){also}")


def _check_ports(variables: Mapping[str, Any]) -> Iterator[Problem]:
    ports = variables.get("firewall_ports")
    for port in ports if isinstance(ports, list) else []:
        match = PORT.fullmatch(str(port))
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= 65535:
            yield Problem("firewall_ports", f"found {port!r}", "write 8080/tcp or 5000-5010/udp")
        elif last - first >= WIDE_PORTS:
            yield Problem(
                "firewall_ports", f"{port} opens {last - first + 1} ports", "name those that other machines need"
            )


def _check_rest(variables: Mapping[str, Any]) -> Iterator[Problem]:
    percent = variables.get("memory_guard_engines_pressure_limit_percent")
    if isinstance(percent, int) and not 1 <= percent <= 100:
        yield Problem("memory_guard_engines_pressure_limit_percent", f"found {percent}", "give a share from 1 to 100")
    zram = variables.get("memory_guard_zram_max_mib")
    if isinstance(zram, int) and zram < 0:
        yield Problem("memory_guard_zram_max_mib", f"found {zram}", "give a size in MiB, or 0 for none")
    settings = variables.get("memory_guard_sysctl")
    for name in settings if isinstance(settings, dict) else []:
        if not SETTING.fullmatch(str(name)):
            yield Problem("memory_guard_sysctl", f"{name!r} is no setting", "write it as sysctl does: vm.swappiness")
    groups = variables.get("packages_groups")
    for group, packages in groups.items() if isinstance(groups, dict) else []:
        if not isinstance(packages, list):
            yield Problem(f"packages_groups.{group}", f"found {packages!r}", "give a list of packages")


def _check_zones(variables: Mapping[str, Any]) -> Iterator[Problem]:
    """A link without a zone falls into the default one, which would be narrow: its ranks would not reach each other."""
    links = variables.get("link_links")
    if variables.get("firewall_manage") is not True or not isinstance(links, list):
        return
    for link in links:
        if isinstance(link, dict) and not link.get("zone"):
            yield Problem(
                f"link_links[{link.get('name')}].zone",
                "is missing, and firewall_manage is true",
                "name a zone of its own, such as tandem-link: the default zone will be closed to ranks",
            )
        elif isinstance(link, dict) and link["zone"] == variables.get("firewall_zone", "tandem-management"):
            yield Problem(
                f"link_links[{link.get('name')}].zone",
                f"is {link['zone']}, as firewall_zone is",
                "name another: this one is closed to ranks",
            )
