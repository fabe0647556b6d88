"""One engine process and everything it starts: none of it outlives us, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_TIMEOUT_SEC = 5.0
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make every process that our child leaves behind a child of ours, so that `Child.stop` finds it."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Child:
    """A running command, in a session of its own. Use within a running event loop."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pidfd = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start `command`; OSError where that cannot be done."""
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

        # preexec_fn: one system call into a library already loaded, which no lock of another thread can hold up.
        return cls(
            subprocess.Popen(
                list(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        )

    async def stop(self, grace_sec: float) -> list[int]:
        """SIGTERM, then SIGKILL to all that is left after `grace_sec`; return what even that did not end.

        The first signal is for the command alone, which knows best how to end what it has started.
        """
        if not self.exited.done():
            self._process.terminate()
            await asyncio.wait([self.exited], timeout=grace_sec)
        deadline = asyncio.get_running_loop().time() + _KILL_TIMEOUT_SEC
        while (left := descendants(os.getpid())) and asyncio.get_running_loop().time() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)
            reap_orphans(except_pid=None if self.exited.done() else self.pid)
        return left

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        returncode = self._process.wait()
        if not self.exited.done():
            self.exited.set_result(returncode)


def reap_orphans(*, except_pid: int | None) -> None:
    """Collect adopted processes that have ended; the exit of `except_pid` is left for its owner to see."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == except_pid:
                return
            os.waitpid(ended.si_pid, 0)


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid`, those that have ended but were not collected included."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The command's name, in parentheses, may hold anything.
                parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
