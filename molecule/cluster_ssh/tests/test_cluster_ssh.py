"""What a node may do on its peer, and what it may not."""

import pytest

SSH = "ssh -F /etc/tandem/ssh/config"


def peer(host):
    return "node2" if host.backend.get_hostname() == "node1" else "node1"


def rsync(host, *arguments):
    return host.run(f"rsync --timeout=10 --rsh='{SSH}' {' '.join(arguments)}")


def test_weights_of_the_peer_can_be_read(host):
    assert rsync(host, "--list-only", f"{peer(host)}:./").rc == 0


@pytest.mark.parametrize("path", ["../", "/etc/", "../../../etc/"])
def test_nothing_else_can_be_read(host, path):
    found = rsync(host, "--list-only", f"{peer(host)}:{path}")
    assert "passwd" not in found.stdout
    assert "state" not in found.stdout


def test_nothing_can_be_written(host):
    assert rsync(host, "/etc/hostname", f"{peer(host)}:./").rc != 0


@pytest.mark.parametrize("command", ["id", "sh -c id", "-t sh", "-s sftp"])
def test_commands_are_refused(host, command):
    found = host.run(f"{SSH} {peer(host)} {command} </dev/null")
    assert found.rc not in (0, 255)
    assert "uid=" not in found.stdout


def test_forwarding_is_refused(host):
    found = host.run(f"timeout 10 {SSH} -N -o ExitOnForwardFailure=yes -R 17777:127.0.0.1:22 {peer(host)}; echo $?")
    assert "forwarding failed" in found.stderr


def test_an_unknown_host_key_is_refused(host):
    found = host.run(f"{SSH} -o UserKnownHostsFile=/dev/null {peer(host)} id; echo $?")
    assert found.stdout == "255\n"
    assert "Host key verification failed" in found.stderr


def test_the_private_key_is_for_the_account_only(host):
    key = host.file("/etc/tandem/ssh/id_ed25519")
    assert (key.user, key.mode) == ("tandem", 0o600)


def test_the_account_cannot_change_who_may_log_in(host):
    found = host.run("runuser -u tandem -- sh -c 'echo >> /var/lib/tandem/.ssh/authorized_keys'")
    assert found.rc != 0


def test_nobodys_own_files_are_touched(host):
    assert host.file("/root/.ssh").listdir() == ["authorized_keys"]
    assert not host.file("/etc/ssh/ssh_known_hosts").exists
