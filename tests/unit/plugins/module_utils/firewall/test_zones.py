"""Listings of firewalld 1.3, recorded on a node whose default zone opens what Fedora Workstation's does."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.firewall.zones import FirewallError, parse_zones, port_count

FIXTURES = Path(__file__).parents[4] / "fixtures" / "firewalld"
RUNTIME = (FIXTURES / "zones-runtime.txt").read_text()
#: firewalld 2 names the default zone in the header and has more lines; after its manual, not recorded.
NEWER = """\
public (default, active)
  target: default
  ingress-priority: 0
  egress-priority: 0
  icmp-block-inversion: no
  interfaces: enp5s0 wlan0
  sources:
  services: dhcpv6-client ssh
  ports: 8080/tcp
  protocols: esp
  forward: yes
  masquerade: no
  forward-ports: port=80:proto=tcp:toport=8080:toaddr=
  source-ports:
  icmp-blocks:
  rich rules:
"""


def test_zones_are_told_apart() -> None:
    zones = parse_zones(RUNTIME)

    assert {"FedoraWorkstation", "tandem-link", "public", "trusted", "drop"} <= zones.keys()
    workstation = zones["FedoraWorkstation"]
    assert workstation.interfaces == ("eth0",)
    assert workstation.services == {"dhcpv6-client", "mdns", "samba-client", "ssh"}
    assert workstation.wide == ["1025-65535/tcp", "1025-65535/udp"]
    link = zones["tandem-link"]
    assert link.wide == ["everything (target ACCEPT)"]
    assert link.other_rules == ('rule family="ipv4" source address="10.0.0.0/8" accept',)
    assert zones["public"].wide == []


def test_a_newer_listing() -> None:
    zone = parse_zones(NEWER)["public"]

    assert zone.interfaces == ("enp5s0", "wlan0")
    assert zone.ports == {"8080/tcp"}
    assert zone.other_rules == ("protocols esp", "forward-ports port=80:proto=tcp:toport=8080:toaddr=")


@pytest.mark.parametrize("text", ["", "\n", "Error: COMMAND_FAILED\n  more\n", RUNTIME[:10]])
def test_what_is_no_listing_has_no_rules(text: str) -> None:
    assert all(not zone.ports and not zone.services for zone in parse_zones(text).values())


@pytest.mark.parametrize(("port", "count"), [("8080/tcp", 1), ("5000-5010/udp", 11), ("1025-65535/tcp", 64511)])
def test_ports_are_counted(port: str, count: int) -> None:
    assert port_count(port) == count


@pytest.mark.parametrize("port", ["8080", "0/tcp", "70000/tcp", "9-8/udp", "http/tcp", "80/icmp"])
def test_what_is_no_port(port: str) -> None:
    with pytest.raises(FirewallError, match="is no port of firewalld; write 8080/tcp"):
        port_count(port)
