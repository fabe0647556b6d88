"""Spare the processes that Ansible forks for each task and node what can be done once, before.

Ansible looks for a filter in all files of them, and forgets with the process what it loaded. What a process shares with
the one that it was forked from is copied page by page as soon as it is written to, and Python's search for garbage writes
to all objects there are.
"""

from __future__ import annotations

import gc

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader

DOCUMENTATION = """
name: loaded_filters
type: aggregate
short_description: Load the filters of the project before the first task, and keep memory shared
description: Prints nothing.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Has its effect in the process that all others are forked from."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "loaded_filters"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: object) -> None:  # noqa: ARG002 (given by name)
        """Find one of them; all are loaded on the way."""
        filter_loader.get("tandem_problems")

    def v2_playbook_on_task_start(self, task: object, is_conditional: object) -> None:  # noqa: ARG002 (given by name)
        """Leave what there is out of all further searches for garbage."""
        gc.freeze()
