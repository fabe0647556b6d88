"""One screen, and a document, of what was observed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from tandem.drift.findings import Finding, Observation
from tandem.drift.journal import Entry
from tandem.drift.record import Record

#: Lines of a difference that the screen shows; the document has all that were kept.
MAX_LINES = 6
_WIDTH = 130


@dataclass(frozen=True, kw_only=True)
class Report:
    """An observation with its circumstances. Times are in UTC, as ISO 8601."""

    inventory: str
    started: str
    took_sec: float
    observation: Observation
    former: Record
    record: Record
    spent_sec: Mapping[str, float]


def spent(entries: Iterable[Entry]) -> dict[str, float]:
    """Return how long nodes were at work, by role (or play), the longest first. Nodes work side by side."""
    sums: dict[str, float] = defaultdict(float)
    for entry in entries:
        if entry.outcome != "notified":
            sums[entry.role or entry.play] += entry.duration_sec
    return {name: round(seconds, 2) for name, seconds in sorted(sums.items(), key=lambda item: -item[1])}


def document(report: Report) -> dict[str, object]:
    """Return the report as JSON's types."""
    seen = report.observation
    return {
        "inventory": report.inventory,
        "started": report.started,
        "took_sec": round(report.took_sec, 2),
        "status": {0: "clean", 1: "could not tell", 2: "drift"}[seen.status],
        "nodes": list(seen.nodes),
        "last_clean": report.former.clean,
        "findings": [
            {**asdict(finding), "diff": list(finding.diff), "since": report.record.since.get(finding.key)}
            for finding in seen.findings
        ],
        "repair": {
            "restarts": [{"node": node, "what": what} for node, what in seen.restarts],
            "reboots": list(seen.reboots),
        },
        "could_not_tell": [{"node": node, "why": why} for node, why in seen.untold],
        "not_looked_at": [{"role": role, "task": task} for role, task in seen.unseen],
        "spent_sec": dict(report.spent_sec),
    }


def screen(report: Report, *, timings: bool = False) -> list[str]:
    """Return the report as lines."""
    seen = report.observation
    nodes = "1 node" if len(seen.nodes) == 1 else f"{len(seen.nodes)} nodes"
    lines = [f"{report.inventory}: {_verdict(seen)}, {nodes} looked at in {report.took_sec:.0f} s"]
    if seen.status and report.former.clean:
        lines.append(f"last found clean: {report.former.clean}")
    elif seen.status:
        lines.append("never found clean before")
    for node in dict.fromkeys(finding.node for finding in seen.findings):
        lines.append(node)
        for finding in (finding for finding in seen.findings if finding.node == node):
            lines += _finding(finding, report.record.since.get(finding.key))
    for node, why in seen.untold:
        first, *others = why.splitlines()
        lines.append(_cut(f"could not tell{' of ' + node if node else ''}: {first}"))
        lines += [f"  {line}" for line in others[:MAX_LINES]]
    if seen.status:
        lines += _consequences(seen)
    lines += _unseen(seen.unseen)
    if timings:
        lines.append("time spent on nodes, which work side by side:")
        lines += [f"  {seconds:7.2f} s  {name}" for name, seconds in report.spent_sec.items()]
    return lines


def _verdict(seen: Observation) -> str:
    count = len(seen.findings)
    found = "1 difference" if count == 1 else f"{count} differences"
    if seen.status == 1:
        return f"could not tell ({found} found until then)" if count else "could not tell"
    return found if count else "clean"


def _finding(finding: Finding, since: str | None) -> list[str]:
    subject = f": {finding.subject}" if finding.subject else ""
    place = f"{finding.role}: " if finding.role else ""
    place = f"does not work: {place}" if finding.source == "verify" else place
    lines = [f"  {place}{finding.task}{subject}" + (f"  (since {since})" if since else "")]
    shown = [line for line in finding.diff if line.strip(" +-")]
    lines += [_cut(f"      {line}") for line in shown[:MAX_LINES]]
    if len(shown) > MAX_LINES:
        lines.append(f"      ({len(shown) - MAX_LINES} more lines)")
    if finding.words and not shown:
        lines.append(_cut(f"      {finding.words.splitlines()[0]}"))
    return lines


def _consequences(seen: Observation) -> list[str]:
    by_task: dict[str, list[str]] = defaultdict(list)
    for node, what in seen.restarts:
        by_task[what].append(node)
    restarts = "; ".join(f"{what} ({', '.join(nodes)})" for what, nodes in by_task.items())
    return [
        f"a repair restarts: {restarts or 'nothing'}",
        f"a repair reboots: {', '.join(seen.reboots) + ', with your consent' if seen.reboots else 'nothing'}",
    ]


def _unseen(unseen: Sequence[tuple[str, str]]) -> list[str]:
    by_role: dict[str, list[str]] = defaultdict(list)
    for role, task in unseen:
        by_role[role or "playbooks"].append(task)
    if not by_role:
        return []
    return [
        "not looked at, as check mode cannot: " + "; ".join(f"{role} ({len(tasks)})" for role, tasks in by_role.items())
    ]


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."
