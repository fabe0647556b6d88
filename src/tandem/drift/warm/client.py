"""Hand a payload to the broker, from the process of a task."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from tandem.drift.warm import server

#: The environment variable that names the broker's socket. Without it, all is done as by ssh.
VARIABLE = "TANDEM_DRIFT_WARM"
#: A Python so called executes the first line of its input, and the rest of it is left to that line. Without quotes, so
#: that it can stand at any depth of quotes.
_PROGRAM = r" -c exec\(input\(\)\)"
#: What follows the interpreter in Ansible's commands: the ends of quotes, and its remedy for lost output.
_TAIL = re.compile(r"""['"]*( && sleep 0['"]*)?""")
#: What become makes up anew for each task.
_MARKER = re.compile(r"BECOME-SUCCESS-[a-z]+")
_CHUNK_BYTES = 65536


class LostError(Exception):
    """The connection was lost while a module ran."""


def server_command(command: str, payload: bytes) -> str | None:
    """Return a command that starts a server where this one would run the payload; None if its form is unknown."""
    shebang = payload.partition(b"\n")[0].decode(errors="replace")
    before, interpreter, after = command.rpartition(shebang.removeprefix("#!").strip())
    if not shebang.startswith("#!/") or not interpreter:
        return None
    if before[-1:] not in (" ", "'", '"', "") or not _TAIL.fullmatch(after):
        return None
    return before + interpreter + _PROGRAM + after


def is_payload(data: bytes) -> bool:
    """Return whether this is a module for Python, as Ansible pipes it."""
    return b"\n_ANSIBALLZ_WRAPPER = True" in data[:4096] and server.ZIP.search(data) is not None


def run(broker: Path, argv: Sequence[str], payload: bytes) -> tuple[int, bytes, bytes] | None:
    """Return status, output and error output of a payload, or None if it was not started, and may be run elsewise.

    Args:
        argv: The command that starts the server.

    Raises:
        LostError: The connection was lost before the module ended.
    """
    request = {
        "key": _MARKER.sub("", "\0".join(argv)),
        "argv": list(argv),
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
        "payload_bytes": len(payload),
    }
    received, written = bytearray(), {server.OUT: bytearray(), server.ERR: bytearray()}
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(broker))
        except OSError:
            return None
        connection.sendall(json.dumps(request).encode() + b"\n" + payload)
        while data := connection.recv(_CHUNK_BYTES):
            received += data
            for kind, _, content in server.frames(received):
                if kind in written:
                    written[kind] += content
                elif kind == server.END:
                    return int(content), bytes(written[server.OUT]), bytes(written[server.ERR])
                elif kind == server.REFUSED:
                    return None
    raise LostError("the connection to the node was lost while a module ran there")
