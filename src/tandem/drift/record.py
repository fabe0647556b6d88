"""What former runs found: when all was clean last, and since when a difference is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tandem.errors import TandemError

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Record:
    """Times are in UTC, as ISO 8601.

    Attributes:
        clean: When a run found no drift, if ever.
        checked: When a run could tell at all.
        since: Key of a finding, and when it was seen first.
    """

    clean: str | None = None
    checked: str | None = None
    since: Mapping[str, str] = field(default_factory=dict)


def load(path: Path) -> Record:
    """Return what is recorded; nothing where there is no record yet.

    Raises:
        TandemError: The file is not such a record.
    """
    try:
        fields = json.loads(path.read_text())
        return {_VERSION: Record}[fields.pop("version")](**fields)
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TandemError(f"{path} is no record of drift ({error}): remove it; only former times are lost") from error


def after(record: Record, keys: Iterable[str], now: str, *, told: bool) -> Record:
    """Return the record with a run in it. A run that could not tell all forgets nothing."""
    found = {key: record.since.get(key, now) for key in keys}
    if not told:
        return Record(clean=record.clean, checked=record.checked, since={**record.since, **found})
    return Record(clean=record.clean if found else now, checked=now, since=found)


def save(path: Path, record: Record) -> None:
    """Write the record, whole or not at all."""
    write_json(
        path,
        {"version": _VERSION, "clean": record.clean, "checked": record.checked, "since": dict(record.since)},
    )


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a document, whole or not at all.

    Raises:
        TandemError: It cannot be written there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(document, indent=2) + "\n")
        partial.replace(path)
    except OSError as error:
        raise TandemError(f"{path} cannot be written: {error.strerror}") from error
