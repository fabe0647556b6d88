"""The commands by which servers are started, made of those by which Ansible runs modules."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: A Python so called executes the first line of its input, and leaves the rest to that line. Without quotes, so that it
#: can stand at any depth of them.
_PROGRAM = r" -c exec\(input\(\)\)"
#: What follows the interpreter: the ends of quotes, and Ansible's remedy for lost output.
_TAIL = re.compile(r"""['"]*( && sleep 0['"]*)?""")
#: What become makes up anew for each task.
_MARKER = re.compile(r"BECOME-SUCCESS-[a-z]+")


def interpreter_of(payload: bytes) -> str | None:
    """Return the interpreter in a payload's first line."""
    shebang = payload[:256].partition(b"\n")[0].decode(errors="replace")
    return shebang.removeprefix("#!").strip() if shebang.startswith("#!/") else None


def server_command(command: str, interpreter: str) -> str | None:
    """Return a command that starts a server where this one would start the interpreter; None if its form is unknown."""
    before, found, after = command.rpartition(interpreter)
    if not found or before[-1:] not in ("", " ", "'", '"') or not _TAIL.fullmatch(after):
        return None
    return before + interpreter + _PROGRAM + after


def login_command(interpreter: str) -> str:
    """Return the command that starts a server for the account that logs in, in the form of Ansible's own."""
    return f"/bin/sh -c '{interpreter}{_PROGRAM} && sleep 0'"


def key(login: Sequence[str], command: str) -> str:
    """Return by what to know a server again."""
    return _MARKER.sub("", "\0".join((*login, command)))
