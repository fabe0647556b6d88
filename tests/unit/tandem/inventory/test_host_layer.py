"""What of the host layer is refused before a host is touched."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.inventory.description import Description
from tandem.inventory.host import find_host_problems


def problems(**variables: Any) -> list[str]:
    return [str(problem) for problem in find_host_problems(Description({"n1": variables}, {}, {}))]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"memory_guard_engines_memory_max": "infinity", "memory_guard_engines_swap_max": "0"},
        {"memory_guard_engines_memory_max": "112G", "journal_max_use": 1073741824},
        {"firewall_ports": ["8080/tcp", "5000-5010/udp"]},
        {"memory_guard_sysctl": {"vm.swappiness": 10, "net.ipv4.conf.eth0.rp_filter": 1}},
        {"packages_groups": {"fabric": ["perftest >= 25"]}, "memory_guard_zram_max_mib": 0},
    ],
)
def test_what_can_be(variables: dict[str, Any]) -> None:
    assert problems(**variables) == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("memory_guard_engines_memory_max", "112GB", "found '112GB'"),
        ("memory_guard_ssh_memory_min", "infinity", "found 'infinity'"),
        ("memory_guard_system_memory_min", "1.5G", "found '1.5G'"),
        ("journal_max_use", "50%", "found '50%'"),
        ("firewall_ports", ["8080"], "write 8080/tcp"),
        ("firewall_ports", ["1025-65535/tcp"], "opens 64511 ports"),
        ("firewall_ports", ["70000/tcp"], "found '70000/tcp'"),
        ("memory_guard_engines_pressure_limit_percent", 0, "from 1 to 100"),
        ("memory_guard_zram_max_mib", -1, "0 for none"),
        ("memory_guard_sysctl", {"swappiness": 10}, "write it as sysctl does"),
        ("packages_groups", {"fabric": "perftest"}, "give a list of packages"),
    ],
)
def test_what_cannot_be(variable: str, value: Any, words: str) -> None:
    (problem,) = problems(**{variable: value})

    assert problem.startswith(variable)
    assert words in problem


@pytest.mark.parametrize(
    ("link", "manage", "words"),
    [
        ({"name": "link0"}, True, "link_links[link0].zone is missing, and firewall_manage is true"),
        ({"name": "link0", "zone": "tandem-management"}, True, "is tandem-management, as firewall_zone is"),
        ({"name": "link0", "zone": "tandem-link"}, True, ""),
        ({"name": "link0"}, False, ""),
    ],
)
def test_a_link_is_not_closed_by_the_default_zone(link: dict[str, str], manage: bool, words: str) -> None:
    found = problems(firewall_manage=manage, link_links=[link])

    assert (words in found[0].replace(": ", " ", 1)) if words else found == []
