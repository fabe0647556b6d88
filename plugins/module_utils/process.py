"""The one place where modules start other programs.

Every call has a time limit, runs in the C locale (so that output can be parsed) and in a
process group of its own (so that a time-out also ends the children of the program).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class CommandResult:
    """What a program returned."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class CommandError(Exception):
    """A program could not be run to its end; the message is meant for a person."""


class ToolMissing(CommandError):
    """The program is not installed on this node."""


class CommandTimeout(CommandError):
    """The program did not end in time and was killed with all its children."""


def run_command(
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> CommandResult:
    """Run a program without a shell and return its exit status and output.

    ``environment`` is added to the present environment. A non-zero exit status is not an
    error here: the caller knows which ones it expects.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(environment or {}), "LC_ALL": "C"},
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ToolMissing(f"{argv[0]} is not installed on this node (PATH: {os.environ.get('PATH', '')})") from None
    except PermissionError:
        raise ToolMissing(f"{argv[0]} is not executable on this node") from None
    try:
        stdout, stderr = process.communicate(input=stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        raise CommandTimeout(f"{' '.join(argv)} did not end within {timeout_s:g} s and was killed") from None
    except BaseException:
        _kill_group(process)
        raise
    return CommandResult(tuple(argv), process.returncode, stdout, stderr)


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the program with its children and collect it."""
    # It may have ended between the time-out and the signal.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
