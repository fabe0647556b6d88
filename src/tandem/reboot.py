"""Which nodes need a reboot, why, and in what words that is told: pure functions.

A role that needs one says so in ``<role>_reboot_required``, and may say why in ``<role>_reboot_reasons``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_REQUIRED = "_reboot_required"
_TRUE = ("true", "yes", "on", "1")


def reboot_reasons(variables: Mapping[str, Any]) -> list[str]:
    """Return why a node needs a reboot, by role; empty if no role asks for one."""
    found = []
    for name in sorted(str(name) for name in variables):
        role = name.removesuffix(_REQUIRED)
        if role == name or name.startswith("_") or not _is_true(variables[name]):
            continue
        reasons = variables.get(f"{role}_reboot_reasons") or []
        found.append(f"{role}: {'; '.join(map(str, reasons)) or 'asks for it'}")
    return found


def reboot_report(
    reasons: Mapping[str, Sequence[str]],
    engines: Sequence[Mapping[str, Any]],
    *,
    allowed: bool,
    check_mode: bool,
    command: str,
) -> list[str]:
    """Return what is told of the nodes that need a reboot, in the order in which they would be rebooted."""
    due = {node: why for node, why in reasons.items() if why}
    one = len(due) == 1
    lines = ["1 node needs a reboot." if one else f"{len(due)} nodes need a reboot."]
    for node, why in due.items():
        names = [str(engine["name"]) for engine in engines if node in engine["nodes"]]
        drained = f" First it lets {_engines(names)} end, on all of its nodes." if names else ""
        lines.append(f"- {node}: {'; '.join(why)}.{drained}")
    in_turn = "" if one else ", one after the other, each when the one before it is back and verified"
    if not allowed:
        lines.append(f"Nothing was rebooted. With your consent, this does it{in_turn}: {command}")
    elif check_mode:
        lines.append(f"{'It' if one else 'They'} would be rebooted{in_turn}.")
    else:
        lines.append(f"{'It is' if one else 'They are'} rebooted now{in_turn}.")
    return lines


def reboot_command(sources: Sequence[str], limit: str | None) -> str:
    """Return the command that reboots what needs it, as one would type it."""
    inventories = " ".join(f"-i {source}" for source in sources)
    only = f" --limit {limit}" if limit else ""
    return f"ansible-playbook {inventories} playbooks/reboot.yml{only} -e tandem_reboot_allowed=true"


def _engines(names: Sequence[str]) -> str:
    return f"engine{'' if len(names) == 1 else 's'} {', '.join(names)}"


def _is_true(value: object) -> bool:
    """Whether a variable is true; from the command line it is a text."""
    return value.lower() in _TRUE if isinstance(value, str) else bool(value)
