"""What the system says after two converges, drift by hand, a repair, and a firewall that nobody confirmed."""

import json


def shown(host, unit, *properties):
    text = host.check_output(f"systemctl show --property={','.join(properties)} {unit}")
    return dict(line.split("=", 1) for line in text.splitlines())


def test_packages_are_there_and_only_what_was_asked_for_is_upgraded(host):
    versions = dict(
        line.split() for line in host.check_output("rpm -qa --queryformat '%{NAME} %{VERSION}\n'").splitlines()
    )
    # Only the first node was asked for the newer one (side_effect.yml).
    assert versions["tandem-probe"] == ("2.0" if host.check_output("hostname") == "node1" else "1.0")
    for name in ("podman", "rdma-core", "perftest", "chrony", "firewalld", "grubby", "linux-firmware"):
        assert name in versions
    assert versions["podman"] == "1.0"


def test_chronyd_runs_now_and_at_boot(host):
    assert host.service("chronyd").is_running
    assert host.service("chronyd").is_enabled


def test_only_the_narrow_zone_is_reached(host):
    assert host.check_output("firewall-cmd --get-default-zone") == "tandem-management"
    assert host.check_output("firewall-cmd --list-ports") == ""
    assert set(host.check_output("firewall-cmd --list-services").split()) == {"ssh", "dhcpv6-client", "mdns"}
    # The zone that the machine came with belongs to somebody else.
    assert host.check_output("firewall-cmd --permanent --zone=FedoraWorkstation --query-port=1025-65535/tcp") == "yes"
    assert host.service("firewalld").is_enabled


def test_the_kernel_opens_no_wide_range(host):
    """Asks nftables, not firewalld."""
    rules = host.check_output("nft -j list table inet firewalld")
    opened = [rule for rule in json.loads(rules)["nftables"] if "1025" in json.dumps(rule.get("rule", {}))]
    chains = {rule["rule"]["chain"] for rule in opened}
    assert not {chain for chain in chains if "tandem-management" in chain}


def test_the_way_in_keeps_its_memory(host):
    ssh = shown(host, "sshd.service", "OOMPolicy", "MemoryMin", "ManagedOOMPreference", "OOMScoreAdjust")
    # The score is sshd's own to set: what the unit has, every session would inherit.
    assert ssh == {
        "OOMPolicy": "continue",
        "MemoryMin": "8388608",
        "ManagedOOMPreference": "omit",
        "OOMScoreAdjust": "0",
    }
    assert shown(host, "system.slice", "MemoryMin") == {"MemoryMin": "67108864"}


def test_engines_feel_it_first(host):
    limits = shown(host, "tandem.slice", "MemoryMax", "MemorySwapMax", "ManagedOOMMemoryPressure")
    assert limits == {"MemoryMax": "6442450944", "MemorySwapMax": "0", "ManagedOOMMemoryPressure": "kill"}


def test_the_units_are_well_formed(host):
    assert host.run("systemd-analyze verify --man=no sshd.service tandem.slice").stderr == ""


def test_swap_in_memory_is_small_at_the_next_boot(host):
    assert "zram-size = min(ram, 2048)" in host.file("/etc/systemd/zram-generator.conf").content_string


def test_the_journal_is_limited(host):
    said = host.check_output("journalctl -b -o cat -n 20 MESSAGE_ID=ec387f577b844b8fa948f33cad9a75e6")
    assert "max 96.0M" in [line for line in said.splitlines() if line.startswith("System Journal")][-1]


def test_the_profile_is_active(host):
    assert host.check_output("tuned-adm active") == "Current active profile: accelerator-performance"


def test_selinux_allows_what_was_named_and_no_more(host):
    assert host.check_output("cat /etc/booleans").splitlines() == [
        "container_use_devices --> on",
        "virt_use_nfs --> off",
    ]
    assert host.check_output("getenforce") == "Enforcing"
