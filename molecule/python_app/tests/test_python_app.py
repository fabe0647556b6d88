"""A release by content, whole, and root's."""


def test_the_program_runs_for_everybody(host):
    shown = host.run("su nobody -s /bin/sh -c '/opt/tandem/tandem/current/venv/bin/tandem --version'")
    assert shown.stdout.startswith("tandem ")


def test_the_release_is_whole_and_holds_no_wheels(host):
    release = host.file("/opt/tandem/tandem/current").linked_to
    assert host.file(f"{release}/.complete").content_string.strip() == release.rsplit("/", 1)[-1]
    assert not host.file(f"{release}/wheels").exists


def test_nobody_but_root_can_change_it(host):
    found = host.run("find /opt/tandem ! -user root -o -perm /022 ! -type l")
    assert found.stdout == ""
