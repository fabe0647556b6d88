"""The former state of a link, kept until its new state is verified."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .profile import MANAGED_PROPERTIES, LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Checkpoint:
    """What to go back to."""

    interface: str
    properties: Mapping[str, str] | None
    """None: there was no profile of this name."""
    active_profile_uuid: str
    """The profile that held the interface, ours or a foreign one; empty if none did."""


def checkpoint_path(directory: Path, link: str) -> Path:
    """Where the checkpoint of a link is."""
    return directory / f"{link}.checkpoint.json"


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Keep a checkpoint. One that is there stays: it holds the last verified state.

    The file appears whole or not at all: an interrupted run must find one it can use.
    """
    if os.path.lexists(path):
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(asdict(checkpoint), stream, indent=2, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(path)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The kept checkpoint, if any. Only a file of our own user is believed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LinkError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise LinkError(f"checkpoint {path} is not a file that only we can write; look at it, then delete it")
        try:
            document = json.load(stream)
            checkpoint = Checkpoint(**document)
        except (ValueError, TypeError) as error:
            raise LinkError(f"checkpoint {path} is damaged ({error}); look at it, then delete it") from error
    unknown = sorted(set(checkpoint.properties or {}) - set(MANAGED_PROPERTIES))
    if unknown:
        raise LinkError(f"checkpoint {path} has properties that are not ours: {', '.join(unknown)}")
    return checkpoint


def drop_checkpoint(path: Path) -> None:
    """Forget the former state."""
    path.unlink(missing_ok=True)
