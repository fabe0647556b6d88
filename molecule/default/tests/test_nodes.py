"""What every role may rely on, before any of them has run."""


def test_systemd_is_up(host):
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_the_link_interface_has_no_address(host):
    assert host.file("/sys/class/net/eth1/mtu").content_string.strip() == "9000"
    assert host.interface("eth1", family="inet").addresses == []


def test_networkmanager_manages_the_link_but_not_the_management_interface(host):
    devices = host.check_output("nmcli -g DEVICE,STATE device").splitlines()
    assert "eth0:unmanaged" in devices
    assert "eth1:disconnected" in devices


def test_the_node_reaches_nothing_outside(host):
    assert host.check_output("ip route show default") == ""


def test_the_node_has_no_power_over_this_machine(host):
    bounding = int(host.check_output("grep CapBnd /proc/1/status").split()[1], 16)
    cap_sys_module, cap_sys_admin = 16, 21
    assert not bounding & (1 << cap_sys_module | 1 << cap_sys_admin)


def test_nobody_logs_in_by_password(host):
    settings = host.check_output("sshd -T").splitlines()
    assert "passwordauthentication no" in settings
    assert "permitrootlogin without-password" in settings
