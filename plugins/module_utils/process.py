"""The one place where modules start other programs.

Every call has a time limit, runs in the C locale (so that output can be parsed) and leaves nothing behind: whatever the
program started is ended with it, after a time-out as after a good end. A module that is told to end, by SIGTERM or
because its connection was lost, takes its program with it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

#: How long a killed program may take to vanish. One that waits in the kernel (a device that goes away under it) cannot
#: be killed before it has returned from there: nobody should wait for that.
KILL_WAIT_S = 3.0
#: Nothing that a module runs says more. The rest is thrown away, so that no program fills the memory.
OUTPUT_LIMIT_BYTES = 8 * 2**20
#: How often to look whether a program has ended whose output somebody else still holds open, and how long to listen on.
_LOOK_S = 0.05
#: By this a program's children are known, in whatever session and group they are.
_MARK = "TANDEM_RUN"
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
    until = time.monotonic() + timeout_s
    mark = secrets.token_hex(16)
    with _ended_by_signals() as ending, _input(stdin) as given:
        process = _start(argv, given, {**os.environ, **(environment or {}), "LC_ALL": "C", _MARK: mark})
        output = _Output(process)
        try:
            ending.arm()
            in_time = output.read(until)
        finally:
            ending.disarm()
            _kill(process, mark)
            # What it said last, and its exit status.
            output.read(time.monotonic() + KILL_WAIT_S)
            output.close()
    if not in_time:
        gone = process.returncode is not None
        fate = "was killed" if gone else f"hangs in the kernel, so that it cannot be killed (pid {process.pid})"
        message = f"{' '.join(argv)} did not end within {timeout_s:g} s and {fate}"
        raise CommandTimeout(message, output.stdout, output.stderr, gone=gone)
    if output.length > OUTPUT_LIMIT_BYTES:
        raise CommandError(f"{' '.join(argv)} printed {output.length} bytes, more than is understood here")
    return CommandResult(tuple(argv), process.returncode, output.stdout, output.stderr)


@contextlib.contextmanager
def _input(text: str | None) -> Iterator[int]:
    """What a program reads: a file, so that nobody has to feed it."""
    if text is None:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.seek(0)
        yield file.fileno()


def _start(argv: Sequence[str], stdin: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError):
        path = os.environ.get("PATH", "")
        raise ToolMissing(f"{argv[0]} is not installed on this node (PATH: {path})") from None
    except PermissionError:
        raise ToolMissing(f"{argv[0]} is not executable on this node") from None
    except OSError as error:
        raise CommandError(f"{argv[0]} cannot be run on this node: {error.strerror}") from error


class _Output:
    """What a program prints. The pipes may outlive it: a child in the background holds them open."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._parts: list[list[bytes]] = [[], []]
        self.length = 0
        for stream, parts in zip((process.stdout, process.stderr), self._parts, strict=True):
            if stream:
                self._selector.register(stream, selectors.EVENT_READ, parts)

    @property
    def stdout(self) -> str:
        """All of it so far."""
        return _text(self._parts[0])

    @property
    def stderr(self) -> str:
        """All of it so far."""
        return _text(self._parts[1])

    def read(self, until: float) -> bool:
        """Read until the program has ended and nothing more comes; False if it did not end in time."""
        while self._selector.get_map():
            ended = self._process.poll() is not None
            left = until - time.monotonic()
            if left <= 0:
                return ended
            ready = self._selector.select(min(left, _LOOK_S))
            if not ready and ended:
                return True
            for key, _ in ready:
                self._take(key)
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _take(self, key: selectors.SelectorKey) -> None:
        part = os.read(key.fd, 2**16)
        if not part:
            self._selector.unregister(key.fileobj)
            return
        self.length += len(part)
        if self.length <= OUTPUT_LIMIT_BYTES:
            key.data.append(part)

    def close(self) -> None:
        """Let go of the pipes, whoever else holds them."""
        self._selector.close()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()


def _text(parts: list[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _kill(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill what there is of a program and its children."""
    # It may have ended by now.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    wanted = f"{_MARK}={mark}".encode()
    # Twice: one that is about to become another program has no environment for a moment.
    for entry in (*Path("/proc").glob("[0-9]*/environ"), *Path("/proc").glob("[0-9]*/environ")):
        with contextlib.suppress(OSError):
            if wanted in entry.read_bytes():
                os.kill(int(entry.parent.name), signal.SIGKILL)


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

    def disarm(self) -> None:
        """Only take note again."""
        self._armed = False

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
