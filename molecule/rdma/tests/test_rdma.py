"""A node whose links are of TCP has nothing of the role, and nothing is left of earlier runs (side_effect.yml)."""


def test_nothing_is_left(host):
    assert host.file("/run/soft-roce-stopped").exists, "the unit was removed without being stopped"
    assert host.run("systemctl list-unit-files --no-legend 'tandem-soft-roce-*' 'tandem-roce-mode-*'").stdout == ""
    for path in (
        "/etc/modules-load.d/tandem-rdma.conf",
        "/etc/security/limits.d/90-tandem-rdma.conf",
        "/etc/NetworkManager/dispatcher.d/50-tandem-flow-control",
    ):
        assert not host.file(path).exists


def test_the_profile_of_the_link_has_no_flow_control(host):
    shown = host.run("nmcli -t -f ethtool.pause-rx connection show link0")
    assert shown.rc == 0
    assert shown.stdout.strip() in ("", "ethtool.pause-rx:")
