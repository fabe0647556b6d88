"""The one place where modules start other programs.

Every call has a time limit, runs in the C locale (so that output can be parsed) and in a process group of its own (so
that a time-out also ends the children of the program). A module that is told to end, by SIGTERM or because its
connection was lost, takes its program with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

#: How long a killed program may take to vanish. One that waits in the kernel (a device that goes away under it) cannot
#: be killed before it has returned from there: nobody should wait for that.
KILL_WAIT_S = 3.0
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


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

    def __init__(self, message: str, stdout: str = "", stderr: str = "", *, gone: bool = True) -> None:
        """What it had printed until then tells how far it came; ``gone`` is False if it could not be killed."""
        super().__init__(message)
        self.stdout = stdout
        self.stderr = stderr
        self.gone = gone


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
    with _ended_by_signals() as ending:
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
            path = os.environ.get("PATH", "")
            raise ToolMissing(f"{argv[0]} is not installed on this node (PATH: {path})") from None
        except PermissionError:
            raise ToolMissing(f"{argv[0]} is not executable on this node") from None
        try:
            ending.arm()
            stdout, stderr = process.communicate(input=stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            gone, stdout, stderr = _kill_group(process)
            fate = "was killed" if gone else f"hangs in the kernel, so that it cannot be killed (pid {process.pid})"
            message = f"{' '.join(argv)} did not end within {timeout_s:g} s and {fate}"
            raise CommandTimeout(message, stdout, stderr, gone=gone) from None
        except BaseException:
            _kill_group(process)
            raise
    return CommandResult(tuple(argv), process.returncode, stdout, stderr)


def _kill_group(process: subprocess.Popen[str]) -> tuple[bool, str, str]:
    """Kill the program with its children and collect it: whether it is gone, and all that it printed."""
    # It may have ended between the time-out and the signal.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        return True, *process.communicate(timeout=KILL_WAIT_S)
    except subprocess.TimeoutExpired as error:
        return process.poll() is not None, _decoded(error.stdout), _decoded(error.stderr)
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def _decoded(output: str | bytes | None) -> str:
    """The output of a time-out: bytes, whatever was asked for."""
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


class _Ending:
    """What a signal that ends this process does: nothing until there is a program to take along, then an exception."""

    def __init__(self) -> None:
        self._armed = False
        self._came: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle the signal."""
        self._came = number
        if self._armed:
            self._end(number)

    def arm(self) -> None:
        """Raise from now on, and at once for a signal that came before."""
        self._armed = True
        if self._came is not None:
            self._end(self._came)

    @staticmethod
    def _end(number: int) -> NoReturn:
        raise SystemExit(128 + number)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[_Ending]:
    """Let signals that end this process do so by an exception, so that the program is killed on the way out."""
    ending = _Ending()
    if threading.current_thread() is not threading.main_thread():
        # Handlers can be set by the main thread only.
        yield ending
        return
    former = {number: signal.signal(number, ending) for number in _ENDING_SIGNALS if _is_default(number)}
    try:
        yield ending
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        # One that came while a program could not be started.
        ending.arm()


def _is_default(number: int) -> bool:
    """Not one that is ignored (nohup) or that the caller handles itself."""
    return signal.getsignal(number) == signal.SIG_DFL
