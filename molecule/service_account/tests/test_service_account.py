"""The account can write its state and nothing else."""

import pytest


def test_the_account_has_no_password_and_no_home_of_its_own(host):
    user = host.user("tandem")
    assert (user.group, user.home, user.shell) == ("tandem", "/var/lib/tandem", "/bin/sh")
    assert user.password.startswith(("!", "*"))


@pytest.mark.parametrize(
    "path", ["/opt/tandem", "/etc/tandem", "/var/lib/tandem", "/var/lib/tandem/models", "/var/lib/tandem/weights-cache"]
)
def test_the_account_cannot_write_what_it_runs_or_serves(host, path):
    assert host.run(f"su tandem -c 'touch {path}/x'").rc != 0


def test_the_account_can_write_its_state_but_not_read_secrets(host):
    assert host.run("su tandem -c 'touch /var/lib/tandem/state/x && rm /var/lib/tandem/state/x'").rc == 0
    assert host.run("su tandem -c 'ls /etc/tandem/secrets'").rc != 0
