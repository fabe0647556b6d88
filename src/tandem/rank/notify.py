"""Tell systemd: the `sd_notify` datagrams, standard library only."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


_PATIENCE_SEC = 1.0


class Notifier:
    """Sends to `$NOTIFY_SOCKET`; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL byte of an abstract socket.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        if self._socket is not None:
            # Not non-blocking: the queue is short, and a READY=1 must not be dropped because systemd is busy.
            self._socket.settimeout(_PATIENCE_SEC)
        self.watchdog_sec = _watchdog_sec(environment)

    def send(self, **fields: str) -> None:
        """Send `NAME=value` lines in one datagram; a systemd that does not listen is no reason to fail."""
        if self._socket is None:
            return
        lines = [f"{name}={' '.join(value.split())}" for name, value in fields.items()]
        with contextlib.suppress(OSError):
            self._socket.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)


def _watchdog_sec(environment: Mapping[str, str]) -> float | None:
    """Return systemd's watchdog time, where it is meant for this process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = environment.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if usec.isdigit() and int(usec) > 0 else None
