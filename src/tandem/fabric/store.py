"""Verdicts as files: one ``<id>.json`` for each pair. Standard library only, as nodes read them too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tandem.errors import TandemError

SCHEMA_VERSION = 1
HOW_TO_MEASURE = "run 'ansible-playbook playbooks/verify.yml'"
#: What readers rely on; the rest is for the tests, which hold documents against the schema.
_NEEDED: Mapping[str, type | tuple[type, ...]] = {
    "id": str,
    "link": str,
    "transport": str,
    "nodes": list,
    "measured_at": str,
    "duration_s": (int, float),
    "time_limit_s": (int, float),
    "verdict": str,
    "serving_allowed": bool,
    "accepted_risk": (dict, type(None)),
    "cause": (dict, type(None)),
    "causes": list,
    "ceilings": dict,
    "checks": list,
    "series": list,
    "baseline": (dict, type(None)),
}


def read(path: Path) -> dict[str, Any]:
    """Return a verdict; one that cannot be relied on is an error that names its file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TandemError(f"{path}: {error.strerror or error}; {HOW_TO_MEASURE}") from error
    except ValueError as error:
        raise TandemError(f"{path} is no JSON ({error}); remove it and {HOW_TO_MEASURE}") from error
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        found = document.get("schema_version") if isinstance(document, dict) else type(document).__name__
        raise TandemError(
            f"{path} is no verdict of schema_version {SCHEMA_VERSION} (found {found}); remove it and {HOW_TO_MEASURE}"
        )
    wrong = [key for key, kind in _NEEDED.items() if key not in document or not isinstance(document[key], kind)]
    if wrong:
        raise TandemError(f"{path}: {', '.join(wrong)} is missing or wrong; remove the file and {HOW_TO_MEASURE}")
    return document


def read_all(directory: Path) -> list[dict[str, Any]]:
    """Return the verdicts of a directory, in the order of their names; none at all is an error."""
    files = sorted(directory.glob("*.json"))
    if not files:
        raise TandemError(f"there is no verdict in {directory}; {HOW_TO_MEASURE}")
    return [read(path) for path in files]
