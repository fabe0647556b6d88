"""``tandem drift``: what differs between the inventory and the nodes, and its repair."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.errors import TandemError

if TYPE_CHECKING:
    from tandem.drift.report import Report

#: How long the verification waits for an engine that does not answer just now: this run is to say so, not to wait.
ENGINE_WAIT_SEC = 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``drift`` command."""
    parser = subparsers.add_parser(
        "drift",
        help="say what differs between the inventory and the nodes",
        description="Run the stages of site.yml in check mode, and the verification, and say in one screen what "
        "differs. Changes nothing. The status is 0 for clean, 2 for drift, 1 where it could not be told.",
    )
    parser.add_argument("-i", "--inventory", type=Path, required=True, metavar="DIR")
    parser.add_argument("-l", "--limit", metavar="PATTERN", help="only these nodes")
    parser.add_argument("--json", action="store_true", help="print the document that else only lies beside the records")
    parser.add_argument("--timings", action="store_true", help="say what the time went into")
    parser.add_argument(
        "--repair", action="store_true", help="then run site.yml where there is drift, and look again; see make repair"
    )
    parser.add_argument(
        "--allow-reboot", action="store_true", help="with --repair: reboot nodes that need it, one at a time"
    )
    parser.add_argument(
        "--timer",
        metavar="CALENDAR",
        help="do not look now: have systemd do it at these times (as OnCalendar= takes them: hourly, 'Mon 06:00'), "
        "or never again ('off')",
    )
    parser.set_defaults(handler=_drift)


def _drift(arguments: argparse.Namespace) -> int:
    if arguments.allow_reboot and not arguments.repair:
        raise TandemError("--allow-reboot was given without --repair, and nothing else reboots: add --repair")
    if arguments.timer:
        from tandem.drift import timer

        print(timer.install(arguments.inventory, arguments.timer))
        return 0
    # As by the keyboard: whatever runs is ended, and nothing is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        report = _look(arguments)
        if not arguments.repair or report.observation.status == 0:
            return report.observation.status
        return _repair(arguments, report)
    except TandemError as error:
        # 2 is drift: everything that keeps from telling is 1.
        print(f"tandem: error: {error}", file=sys.stderr)
        return 1


def _look(arguments: argparse.Namespace) -> Report:
    from tandem.drift import findings, record, report, run

    project = run.find_project(arguments.inventory)
    directory = project / ".tandem" / arguments.inventory.resolve().name / "drift"
    former = record.load(directory / "record.json")
    started, began = _now(), time.monotonic()
    _say(f"comparing the nodes with {arguments.inventory}")
    check, verification = run.run(
        [
            run.Job(playbook="site.yml", check=True, skip_tags=("verify", "preflight"), limit=arguments.limit),
            run.Job(
                playbook="playbooks/verify.yml",
                check=False,
                # Measuring the fabric would disturb what serves.
                skip_tags=("fabric_gate",),
                limit=arguments.limit,
                variables={"vllm_engine_start_timeout_sec": ENGINE_WAIT_SEC, "tandem_verify_goes_on": True},
            ),
        ],
        arguments.inventory,
        project,
        warm=True,
    )
    seen = findings.observe(check, verification)
    # A part of the nodes says nothing about the rest.
    told = seen.status != 1 and not arguments.limit
    now = record.after(former, [finding.key for finding in seen.findings], started, told=told)
    found = report.Report(
        inventory=str(arguments.inventory),
        started=started,
        took_sec=time.monotonic() - began,
        observation=seen,
        former=former,
        record=now,
        spent_sec=report.spent([*check.entries, *verification.entries]),
    )
    record.write_json(directory / "report.json", report.document(found))
    record.save(directory / "record.json", now)
    if arguments.json:
        print(json.dumps(report.document(found), indent=2))
    else:
        print("\n".join(report.screen(found, timings=arguments.timings)))
        print(f"the document: {_short(directory / 'report.json')}")
    return found


def _repair(arguments: argparse.Namespace, before: Report) -> int:
    from tandem.drift import findings, run

    if before.observation.status == 1 and not before.observation.findings:
        _say("nothing is repaired, as it could not be told what differs")
        return 1
    _say("repairing: site.yml")
    (repair,) = run.run(
        [
            run.Job(
                playbook="site.yml",
                check=False,
                limit=arguments.limit,
                variables={"tandem_reboot_allowed": True} if arguments.allow_reboot else None,
            )
        ],
        arguments.inventory,
        run.find_project(arguments.inventory),
    )
    for entry in repair.entries:
        if entry.outcome == "changed":
            subjects = ", ".join(change.subject for change in entry.changes if change.subject)
            print(f"{entry.node}: {entry.role or entry.play}: {entry.task}{': ' + subjects if subjects else ''}")
        elif entry.outcome in ("failed", "unreachable"):
            print(f"{entry.node}: FAILED: {entry.role or entry.play}: {entry.task}: {entry.message}")
    if more := findings.beyond(before.observation.findings, repair.entries):
        print(f"not named before, as check mode could not see it: {len(more)} of these changes")
    if repair.status != "successful":
        _say("the repair did not come to its end; see above, then run it again")
        return 1
    return _look(arguments).observation.status


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(text: str) -> None:
    print(f"tandem: {text}", file=sys.stderr, flush=True)
