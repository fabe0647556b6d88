"""Hand work for a node to the broker, from the process of a task."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.drift.warm import commands, server

#: The environment variable that names the broker's socket. Without it, all is done as by ssh.
VARIABLE = "TANDEM_DRIFT_WARM"
_CHUNK_BYTES = 65536

#: Status, output and error output.
Result = tuple[int, bytes, bytes]


class LostError(Exception):
    """The connection was lost while a module ran."""


def is_payload(data: bytes) -> bool:
    """Return whether this is a module for Python, as Ansible pipes it."""
    return b"\n_ANSIBALLZ_WRAPPER = True" in data[:4096] and server.ZIP.search(data) is not None


@dataclass(frozen=True)
class Client:
    """Asks the broker. What it returns None for has not been started, and may be run elsewise.

    Attributes:
        broker: The broker's socket.
        login: The ssh command, but for what it is to run.
    """

    broker: Path
    login: Sequence[str]

    def run(self, command: str, payload: bytes) -> Result | None:
        """Run what Ansible would pipe into this command.

        Raises:
            LostError: The connection was lost before it ended.
        """
        interpreter = commands.interpreter_of(payload)
        if interpreter and (starts := commands.server_command(command, interpreter)):
            return self._ask({"command": starts, "interpreter": interpreter}, payload)
        return None

    def run_shell(self, command: str) -> Result | None:
        """Run a command of the shell, as the account that logs in.

        Raises:
            LostError: The connection was lost before it ended.
        """
        return self._ask({"command": None}, command.encode())

    def _ask(self, request: Mapping[str, object], data: bytes) -> Result | None:
        fields = {
            **request,
            "login": list(self.login),
            "environment": dict(os.environ),
            "directory": str(Path.cwd()),
            "data_bytes": len(data),
        }
        received, written = bytearray(), {server.OUT: bytearray(), server.ERR: bytearray()}
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.broker))
            except OSError:
                return None
            connection.sendall(json.dumps(fields).encode() + b"\n" + data)
            while chunk := connection.recv(_CHUNK_BYTES):
                received += chunk
                for kind, _, content in server.frames(received):
                    if kind in written:
                        written[kind] += content
                    elif kind == server.END:
                        return int(content), bytes(written[server.OUT]), bytes(written[server.ERR])
                    elif kind == server.REFUSED:
                        return None
        raise LostError("the connection to the node was lost while a module ran there")
