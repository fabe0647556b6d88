"""The link on the devices themselves."""

import json


def device(host):
    [found] = json.loads(host.check_output("ip -j address show dev eth1"))
    return found["mtu"], [entry["local"] for entry in found["addr_info"] if entry["family"] == "inet"]


def ends(host):
    node = host.backend.get_hostname()
    return ("192.168.100.1", "192.168.100.2") if node == "node1" else ("192.168.100.2", "192.168.100.1")


def test_the_device_has_address_and_mtu(host):
    assert device(host) == (9000, [ends(host)[0]])


def test_the_profile_survives_a_reboot(host):
    values = "connection.autoconnect,connection.autoconnect-priority,ipv4.method,ipv4.never-default,ipv6.method"
    profile = host.check_output(f"nmcli -g {values} connection show link0").split()
    assert profile == ["yes", "100", "manual", "yes", "link-local"]
    assert host.file("/etc/NetworkManager/system-connections/link0.nmconnection").mode == 0o600


def test_the_link_is_no_way_out(host):
    assert "eth1" not in host.check_output("ip route show default")


def test_full_frames_pass_and_larger_ones_do_not(host):
    peer = ends(host)[1]
    assert host.run(f"ping -c 2 -i 0.2 -w 3 -M do -s 8972 {peer}").rc == 0
    assert host.run(f"ping -c 2 -i 0.2 -w 3 -M do -s 8973 {peer}").rc != 0


def test_the_link_comes_back_as_it_was(host):
    host.check_output("nmcli connection down link0")
    assert device(host)[1] == []
    host.check_output("nmcli connection up link0")
    assert device(host) == (9000, [ends(host)[0]])


def test_no_former_state_is_left_behind(host):
    assert host.file("/var/lib/tandem/link").mode == 0o700
    assert host.file("/var/lib/tandem/link").listdir() == []
