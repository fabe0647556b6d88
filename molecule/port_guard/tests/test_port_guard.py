"""The guard as a unit among others; what it lets through is asked between the nodes (side_effect.yml)."""

import pytest


def guarded(host):
    return "drop" in host.run("nft list table inet tandem").stdout


def test_the_unit_is_enabled_and_guards(host):
    unit = host.service("tandem-port-guard")
    assert unit.is_enabled
    assert unit.is_running
    assert guarded(host)


def test_the_unit_is_well_formed(host):
    assert host.run("systemd-analyze verify /etc/systemd/system/tandem-port-guard.service").stderr == ""


@pytest.mark.parametrize("verb", ["start", "reload", "restart", "stop"])
def test_the_guard_outlives_what_nftables_does(host, verb):
    # Its configuration begins with "flush ruleset".
    host.check_output(f"systemctl {verb} nftables.service || systemctl start nftables.service")
    assert guarded(host)


def test_tables_of_others_are_left_alone(host):
    host.check_output("nft add table inet other")
    host.check_output("systemctl reload tandem-port-guard")
    assert host.run("nft list table inet other").rc == 0
    host.check_output("nft delete table inet other")


def test_stopping_takes_the_table_away_and_starting_brings_it_back(host):
    host.check_output("systemctl stop tandem-port-guard")
    assert not guarded(host)
    host.check_output("systemctl start tandem-port-guard")
    assert guarded(host)
