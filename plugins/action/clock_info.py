"""Action plugin: how far a node's clock is from the control node's, and how sure that is.

A module would not do: it cannot know how long its question was on the way. Here the question is one ``date`` over the
connection that Ansible holds anyway, asked a few times, and the quickest answer counts. No module is sent, nothing is
changed, and check mode asks as well.

The control node's clock is its monotonic one, which nobody sets: all nodes are compared with the same clock, whatever
happens to the control node's date meanwhile.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from tandem.clocks import Sample, best, parse_seconds
from tandem.errors import TandemError


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible ships no types
    """Options: C(rounds), how often to ask."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and return ``offset_ms`` (against a clock that all nodes share) and ``uncertainty_ms``."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec({"rounds": {"type": "int", "default": 5}})
        try:
            nearest = best([self._ask() for _ in range(max(1, options["rounds"]))])
        except TandemError as error:
            raise AnsibleActionFail(str(error)) from error
        return {
            "changed": False,
            "offset_ms": nearest.offset_sec * 1000,
            "uncertainty_ms": nearest.uncertainty_sec * 1000,
        }

    def _ask(self) -> Sample:
        asked = time.monotonic()
        answer = self._low_level_execute_command("date +%s.%N", sudoable=False)
        heard = time.monotonic()
        if answer["rc"] != 0:
            said = (answer.get("stderr") or answer.get("stdout", "")).strip()
            raise AnsibleActionFail(f"`date +%s.%N` failed with exit status {answer['rc']}: {said}")
        return Sample(asked, parse_seconds(answer["stdout"]), heard)
