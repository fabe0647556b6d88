"""What happened in a run of Ansible, one JSON object a line, as the callback `drift_journal` writes it.

ansible-runner's own events lack the results of skipped tasks, and with them why a task was skipped.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

#: How a task ended on a node. `unseen` was left out because nothing may be changed.
Outcome = Literal["ok", "changed", "failed", "unreachable", "unseen", "skipped", "notified"]

#: Longest difference that is kept of one file.
MAX_DIFF_LINES = 200
#: Messages that Ansible has for everything.
_SAYS_NOTHING = ("non-zero return code", "All items skipped")
#: Keys of results and arguments that name what a task is about, the best first.
_SUBJECTS = ("dest", "path", "name", "unit")


@dataclass(frozen=True)
class Change:
    """One difference: what it is about, and the lines of the difference (unified, without header)."""

    subject: str
    diff: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How one task ended on one node, or that a handler was notified there (`task` is then its name)."""

    outcome: Outcome
    node: str
    task: str
    role: str = ""
    play: str = ""
    changes: tuple[Change, ...] = ()
    message: str = ""
    handler: bool = False
    reboot: bool = False
    duration_sec: float = 0.0

    def line(self) -> str:
        """Return it as a line of a journal."""
        return json.dumps(asdict(self)) + "\n"


def read(path: Path) -> list[Entry]:
    """Return the entries of a journal; a last line that was not finished, as the run was interrupted, is left out."""
    entries = []
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            fields = json.loads(line)
            fields["changes"] = tuple(
                Change(change["subject"], tuple(change["diff"]), change["words"]) for change in fields["changes"]
            )
            entries.append(Entry(**fields))
    return entries


def outcome_of(result: Mapping[str, Any], *, skipped: bool, always_changes: bool) -> Outcome:
    """Return how a task ended that neither failed nor was unreachable, from Ansible's result of it.

    A task that `always_changes` (a command with `changed_when: true`) and that only check mode kept from running would
    change something: roles have such a task done only where it is needed.
    """
    parts = _parts(result)
    if any(part.get("changed") for part in (result, *parts)):
        return "changed"
    left_out = [part for part in parts if part.get("skipped")] + ([result] if skipped else [])
    if always_changes and any(_is_unseen(part) and "false_condition" not in part for part in left_out):
        return "changed"
    if any(_is_unseen(part) for part in left_out):
        return "unseen"
    return "skipped" if skipped else "ok"


def changes_of(result: Mapping[str, Any], arguments: Mapping[str, Any], *, secret: bool) -> tuple[Change, ...]:
    """Return what a task changed, or would; of a secret task that it did, and nothing else."""
    every = _parts(result) or [result]
    # Of commands that check mode left out, those that would have run.
    parts = [part for part in every if part.get("changed")] or [part for part in every if _is_unseen(part)]
    return tuple(
        Change(_subject(part, arguments, secret=secret), *(((), "") if secret else (_diff(part), _words(part))))
        for part in parts or [result]
    )


def message_of(result: Mapping[str, Any]) -> str:
    """Return what a failed task says, with what each failed item of its loop says."""
    failed = [part for part in _parts(result) if part.get("failed")]
    texts = [str(part.get("msg", "")).strip() for part in (failed or [result])]
    return "\n".join(text for text in texts if text)


def asks_for_reboot(result: Mapping[str, Any]) -> bool:
    """Tell whether a task noted that its node must be rebooted (`<role>_reboot_required`)."""
    facts = result.get("ansible_facts")
    return isinstance(facts, Mapping) and any(
        str(name).endswith("_reboot_required") and not str(name).startswith("_") and value is True
        for name, value in facts.items()
    )


def _parts(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = result.get("results")
    return [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []


def _is_unseen(part: Mapping[str, Any]) -> bool:
    condition, message = str(part.get("false_condition", "")), str(part.get("msg", ""))
    return "ansible_check_mode" in condition or "check mode" in message or "check_mode" in message


def _subject(part: Mapping[str, Any], arguments: Mapping[str, Any], *, secret: bool) -> str:
    label = part.get("_ansible_item_label")
    if isinstance(label, str) and label:
        return label
    if secret:
        return ""
    invocation = part.get("invocation")
    used = invocation.get("module_args") if isinstance(invocation, Mapping) else None
    for source in (part, used, arguments):
        for key in _SUBJECTS:
            found = source.get(key) if isinstance(source, Mapping) else None
            if isinstance(found, str) and found and "{{" not in found:
                return found
    return ""


def _words(part: Mapping[str, Any]) -> str:
    for message in (part.get("msg"), part.get("stderr")):
        if isinstance(message, str) and message.strip() and message not in _SAYS_NOTHING:
            return message.strip().splitlines()[0]
    return ""


def _diff(part: Mapping[str, Any]) -> tuple[str, ...]:
    found = part.get("diff")
    lines: list[str] = []
    for each in found if isinstance(found, list) else [found]:
        if not isinstance(each, Mapping):
            continue
        if isinstance(each.get("prepared"), str):
            lines += each["prepared"].splitlines()
            continue
        before, after = (_text(each.get(key)) for key in ("before", "after"))
        unified = difflib.unified_diff(before, after, lineterm="", n=0)
        lines += [line for line in unified if not line.startswith(("---", "+++", "@@"))]
    left_out = len(lines) - MAX_DIFF_LINES
    return (*lines[:MAX_DIFF_LINES], *([f"({left_out} more lines)"] if left_out > 0 else []))


def _text(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return value.splitlines()
    return json.dumps(value, indent=1, sort_keys=True, default=str).splitlines()
