"""What a journal says of the nodes: differences, what a repair would interrupt, and what could not be told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tandem.drift.journal import Change, Entry
from tandem.drift.run import Outcome


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference between the inventory and a node.

    Attributes:
        subject: The file, unit, profile or other thing that differs; empty where the task tells no more.
        source: `check`, a task that would change something, or `verify`, the system's own answer.
        diff: Lines of the difference, from the node's state (-) to the inventory's (+).
    """

    node: str
    role: str
    task: str
    subject: str = ""
    source: str = "check"
    words: str = ""
    diff: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return a name that stays the same from run to run."""
        text = "\0".join((self.node, self.role, self.task, self.subject, self.source))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What two runs saw: the stages in check mode, and the verification.

    Attributes:
        restarts: Node, and what a repair would restart or reload there.
        reboots: Nodes that a repair leaves in want of a reboot.
        unseen: Role, and the tasks of which check mode says nothing.
        untold: Why it could not be told whether there is drift: node, and what went wrong there.
    """

    nodes: tuple[str, ...]
    findings: tuple[Finding, ...]
    restarts: tuple[tuple[str, str], ...]
    reboots: tuple[str, ...]
    unseen: tuple[tuple[str, str], ...]
    untold: tuple[tuple[str, str], ...]

    @property
    def status(self) -> int:
        """Return the exit status: 0 clean, 1 could not tell, 2 drift."""
        return 1 if self.untold else 2 if self.findings else 0


def observe(check: Outcome, verification: Outcome) -> Observation:
    """Return what the two runs say together."""
    findings = [*_differences(check.entries, "check"), *_denials(verification.entries)]
    untold = [(entry.node, _failure(entry)) for entry in check.entries if entry.outcome in ("failed", "unreachable")]
    lost = {node for node, _ in untold}
    untold += [
        (entry.node, _failure(entry))
        for entry in verification.entries
        if entry.outcome == "unreachable" and entry.node not in lost
    ]
    for outcome, name in ((check, "the stages in check mode"), (verification, "the verification")):
        told = any(entry.outcome in ("failed", "unreachable") for entry in outcome.entries)
        if outcome.status != "successful" and not told:
            untold.append(("", f"{name} ended as {outcome.status}: {_last_words(outcome.output)}"))
    entries = (*check.entries, *verification.entries)
    return Observation(
        nodes=tuple(dict.fromkeys(entry.node for entry in entries if entry.node != "localhost")),
        findings=tuple(findings),
        restarts=tuple(
            dict.fromkeys((entry.node, entry.task) for entry in check.entries if entry.outcome == "notified")
        ),
        reboots=tuple(dict.fromkeys(entry.node for entry in check.entries if entry.reboot)),
        unseen=tuple(dict.fromkeys((entry.role, entry.task) for entry in _unseen(check.entries, verification.entries))),
        untold=tuple(untold),
    )


def beyond(findings: Iterable[Finding], repair: Sequence[Entry]) -> list[Entry]:
    """Return what a repair changed although no finding had named it; handlers follow from what was named."""
    named = {(finding.node, finding.role, finding.task) for finding in findings}
    return [
        entry
        for entry in repair
        if entry.outcome == "changed" and not entry.handler and (entry.node, entry.role, entry.task) not in named
    ]


def _differences(entries: Iterable[Entry], source: str) -> Iterable[Finding]:
    seen = set()
    for entry in entries:
        # What a handler would do follows from what notified it.
        if entry.outcome != "changed" or entry.handler:
            continue
        for change in entry.changes or (Change(""),):
            # Two tasks that set different things of one profile, say, both find what else differs there.
            same = (entry.node, change.subject, change.diff)
            if change.diff and same in seen:
                continue
            seen.add(same)
            yield Finding(
                node=entry.node,
                role=entry.role,
                task=entry.task,
                subject=change.subject,
                source=source,
                words=change.words,
                diff=change.diff,
            )


def _denials(entries: Iterable[Entry]) -> Iterable[Finding]:
    for entry in entries:
        if entry.outcome == "failed":
            yield Finding(node=entry.node, role=entry.role, task=entry.task, source="verify", words=entry.message)


def _unseen(check: Iterable[Entry], verification: Iterable[Entry]) -> Iterable[Entry]:
    """Yield what check mode left out, but not what the verification did.

    A role takes its own verification in whole, by a task whose name begins with *Verify*.
    """
    done = {(entry.role, entry.task) for entry in verification if entry.outcome in ("ok", "failed", "changed")}
    verified = {role for role, _ in done if role}
    for entry in check:
        of_verification = entry.task.startswith("Verify ") and entry.role in verified
        if entry.outcome == "unseen" and (entry.role, entry.task) not in done and not of_verification:
            yield entry


def _failure(entry: Entry) -> str:
    place = f"{entry.role}: {entry.task}" if entry.role else entry.task
    return f"{place}: {entry.message}" if entry.message else place


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    return " ".join((errors or lines)[-3:]) or "no output"
