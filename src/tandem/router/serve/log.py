"""The log: a line for each request and for each change, for people or for machines."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from tandem.router.serve.messages import encode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

Format = Literal["text", "json"]
_FLUSH_SEC = 0.2
_MAX_WAITING = 1000


class Log(Protocol):
    """Takes events."""

    def event(self, name: str, fields: Mapping[str, object]) -> None:
        """Write one line. Fields without a value are left out."""
        ...


class LineLog:
    """Writes lines together, a few times a second: a system call for each would cost as much as routing a request."""

    def __init__(self, form: Format, loop: asyncio.AbstractEventLoop, stream: BinaryIO | None = None) -> None:
        self._json, self._loop = form == "json", loop
        self._stream = stream or sys.stderr.buffer
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def event(self, name: str, fields: Mapping[str, object]) -> None:
        """See Log."""
        known = {key: value for key, value in fields.items() if value is not None}
        now = time.time()
        if self._json:
            self._lines.append(encode({"time": round(now, 6), "event": name, **known}) + b"\n")
        else:
            moment = datetime.fromtimestamp(now, UTC).strftime("%H:%M:%S.%f")[:-3]
            self._lines.append(f"{moment} {name} {' '.join(map(_pair, known.items()))}\n".encode(errors="replace"))
        if len(self._lines) >= _MAX_WAITING:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_FLUSH_SEC, self.flush)

    def flush(self) -> None:
        """Write what is waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        try:
            self._stream.write(b"".join(lines))
            self._stream.flush()
        except OSError:
            pass  # nobody reads the log any more; requests go on


def _pair(item: tuple[str, object]) -> str:
    key, value = item
    if isinstance(value, str):
        return (
            f"{key}={value}"
            if value.isprintable() and not set(value) & {" ", '"', "="}
            else f"{key}={encode(value).decode()}"
        )
    return f"{key}={encode(value).decode()}"
