"""Write down how each task ended on each node, for `tandem drift`."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ansible import constants
from ansible.plugins.callback import CallbackBase

from tandem.drift import journal

if TYPE_CHECKING:
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.inventory.host import Host
    from ansible.playbook.handler import Handler
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task

DOCUMENTATION = """
name: drift_journal
type: stdout
short_description: Write how each task ended to the file that TANDEM_DRIFT_JOURNAL names
description: Prints nothing. See tandem.drift.journal for the form of the file.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Appends a line to the journal for each task of each node."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "drift_journal"

    def __init__(self) -> None:
        super().__init__()
        # A line at a time: whoever reads while this runs, or after it was killed, finds whole ones.
        self._file = Path(os.environ["TANDEM_DRIFT_JOURNAL"]).open("a", buffering=1)  # noqa: SIM115 (open to the end)
        self._play = ""
        self._handlers: set[str] = set()
        self._started: dict[tuple[str, str], float] = {}
        _share_built_modules()

    def v2_playbook_on_play_start(self, play: Play) -> None:
        """Note which play it is."""
        self._play = play.get_name()

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        """Note that it is a handler's task."""
        self._handlers.add(task._uuid)  # noqa: SLF001 (Ansible has no other name for a task)

    def v2_playbook_on_notify(self, handler: Handler, host: Host) -> None:
        """Write which handler would run."""
        role = handler._role.get_name() if handler._role else ""  # noqa: SLF001
        name = handler.get_name().removeprefix(f"{role} : ")
        self._write(journal.Entry(outcome="notified", node=host.name, task=name, role=role, handler=True))

    def v2_runner_on_start(self, host: Host, task: Task) -> None:
        """Note when it began."""
        self._started[host.name, task._uuid] = time.monotonic()  # noqa: SLF001

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Write a task that went well."""
        self._note(result, self._outcome(result, skipped=False))

    def v2_runner_on_skipped(self, result: CallbackTaskResult) -> None:
        """Write a task that was left out."""
        self._note(result, self._outcome(result, skipped=True))

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:  # noqa: ARG002
        """Write a task that failed. No task ignores that by itself, but the verification goes on after it."""
        self._note(result, "failed")

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        """Write that a node was not reached."""
        self._note(result, "ok" if result.task.ignore_unreachable else "unreachable")

    def _outcome(self, result: CallbackTaskResult, *, skipped: bool) -> journal.Outcome:
        return journal.outcome_of(result.result, skipped=skipped, always_changes=result.task.changed_when == [True])

    def _note(self, result: CallbackTaskResult, outcome: journal.Outcome) -> None:
        task, fields = result.task, result.result
        secret = bool(fields.get("_ansible_no_log") or task.no_log)
        name = task.get_name()
        role = task._role.get_name() if task._role else ""  # noqa: SLF001
        started = self._started.pop((result.host.name, task._uuid), None)  # noqa: SLF001
        self._write(
            journal.Entry(
                outcome=outcome,
                node=result.host.name,
                task=name.removeprefix(f"{role} : "),
                role=role,
                play=self._play,
                changes=journal.changes_of(fields, task.args, secret=secret) if outcome == "changed" else (),
                message=""
                if outcome not in ("failed", "unreachable")
                else "hidden, as it may hold a secret"
                if secret
                else journal.message_of(fields),
                handler=task._uuid in self._handlers,  # noqa: SLF001
                reboot=journal.asks_for_reboot(fields),
                duration_sec=round(time.monotonic() - started, 3) if started is not None else 0.0,
            )
        )

    def _write(self, entry: journal.Entry) -> None:
        self._file.write(entry.line())


def _share_built_modules() -> None:
    """Keep what Ansible builds of modules where the other runs of the same look find it, and build it once."""
    if shared := os.environ.get("TANDEM_DRIFT_MODULES"):
        with contextlib.suppress(FileExistsError):
            (Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache").symlink_to(shared)
