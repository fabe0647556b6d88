"""Drop-ins that no role wrote are gone, with a copy; all others are there."""

ETC = "/etc/systemd/system"


def _environment(host, unit):
    pid = host.check_output(f"systemctl show --property MainPID --value {unit}")
    return host.check_output(f"tr '\\0' '\\n' </proc/{pid}/environ")


def test_a_foreign_drop_in_is_gone_and_the_unit_runs_without_it(host):
    assert not host.file(f"{ETC}/tandem-thing@.service.d/override.conf").exists
    assert "FOREIGN" not in _environment(host, "tandem-thing@a.service")


def test_a_copy_of_it_is_kept(host):
    copy = host.file("/var/lib/tandem/overrides/_etc_systemd_system_tandem-thing@.service.d_override.conf")
    assert "FOREIGN=1" in copy.content_string
    assert copy.mode == 0o600


def test_what_roles_wrote_and_what_the_inventory_keeps_is_in_use(host):
    environment = _environment(host, "tandem-other.service")
    assert "OURS=1" in environment
    assert "KEPT=1" in environment


def test_units_of_others_are_left_alone(host):
    assert host.file(f"{ETC}/ssh.service.d/zz.conf").exists
