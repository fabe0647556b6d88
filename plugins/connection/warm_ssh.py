"""SSH as Ansible has it, but modules run in a Python that `tandem drift` keeps ready on each node."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ssh
from ansible.utils.display import Display

from tandem.drift.warm import client

# Every option of ssh, by its own variables and settings.
DOCUMENTATION = ssh.DOCUMENTATION.replace("name: ssh", "name: warm_ssh", 1)

display = Display()


class Connection(ssh.Connection):  # type: ignore[misc]
    """Runs as plain ssh whatever is not a module piped into Python, and whatever cannot be kept warm."""

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command on the node."""
        warm = self._run_warm(cmd, in_data, sudoable=sudoable)
        return warm or super().exec_command(cmd, in_data=in_data, sudoable=sudoable)

    def _run_warm(self, cmd: str, in_data: bytes | None, *, sudoable: bool) -> client.Result | None:
        broker = os.environ.get(client.VARIABLE)
        # Without input, what may become somebody else gets a terminal, which a server has not.
        suits = client.is_payload(in_data) if in_data else not sudoable
        if not broker or not suits or self._needs_a_secret():
            return None
        self.host = self.get_option("host") or self._play_context.remote_addr
        login = [part.decode() for part in self._build_command(self.get_option("ssh_executable"), "ssh", self.host)]
        display.vvv("WARM SSH: EXEC", host=self.host)
        node = client.Client(Path(broker), login)
        try:
            return node.run(cmd, in_data) if in_data else node.run_shell(cmd)
        except client.LostError as error:
            raise AnsibleConnectionFailure(str(error)) from error

    def _needs_a_secret(self) -> bool:
        """Return whether something must be typed or handed over while it connects, which plain ssh knows how to."""
        if self.become and self.become.expect_prompt():
            return True
        options = ("password", "private_key", "pkcs11_provider")
        return bool(self._play_context.password) or any(self.get_option(option) for option in options)
