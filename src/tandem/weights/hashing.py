"""Read files in parallel and return their digests."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.weights.tree import FileStat

if TYPE_CHECKING:
    from pathlib import Path

_READ_BYTES = 8 * 1024 * 1024
_THREADS = max(1, min(4, os.cpu_count() or 1))

Progress = Callable[[int], None]
"""Called from several threads with the number of bytes just read."""


class CancelledReadError(Exception):
    """The caller asked to stop before everything was read."""


@dataclass(frozen=True)
class Hashed:
    """A digest, or why there is none. ``settled``: safe to remember under the file's stat."""

    digest: str | None = None
    refusal: str | None = None
    settled: bool = False


def hash_files(
    root: Path,
    files: Mapping[str, FileStat],
    *,
    progress: Progress = lambda _: None,
    cancel: threading.Event | None = None,
    racy_window_sec: float = 2.0,
) -> dict[str, Hashed]:
    """Hash ``files`` (relative name to the stat seen before) below ``root``, largest first."""
    stop = cancel or threading.Event()
    order = sorted(files, key=lambda name: files[name].size, reverse=True)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="sha256") as pool:
        jobs = {
            name: pool.submit(_hash_file, root / name, files[name], progress, stop, racy_window_sec) for name in order
        }
        try:
            return {name: job.result() for name, job in jobs.items()}
        except BaseException:
            stop.set()
            raise


def _hash_file(path: Path, seen: FileStat, progress: Progress, stop: threading.Event, racy_window_sec: float) -> Hashed:
    started_ns = time.time_ns()
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(_READ_BYTES, max(1, seen.size))))
    try:
        with path.open("rb", buffering=0) as file:
            before = FileStat.of(os.fstat(file.fileno()))
            while count := file.readinto(buffer):
                if stop.is_set():
                    raise CancelledReadError
                digest.update(buffer[:count])
                progress(count)
            after = FileStat.of(os.fstat(file.fileno()))
    except OSError as error:
        return Hashed(refusal=f"cannot be read: {error.strerror}")
    if not seen == before == after:
        return Hashed(refusal="changed while it was read")
    # A write in the same clock tick as the stat would leave the stat as it is: such a young file
    # is not remembered. One stamped in the future (a clock set back) is not either.
    settled = seen.ctime_ns < started_ns - int(racy_window_sec * 1e9)
    return Hashed(digest=digest.hexdigest(), settled=settled)
