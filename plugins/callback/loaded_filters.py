"""Spare the processes that Ansible forks for each task and node what can be done once, before.

Ansible looks for a plugin in all files of its kind, and forgets with the process what it loaded. What a process shares
with the one that it was forked from is copied page by page as soon as it is written to, and Python's search for garbage
writes to all objects there are.
"""

from __future__ import annotations

import gc

from ansible.module_utils.common.json import Direction, get_module_decoder, get_module_encoder
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import action_loader, filter_loader, lookup_loader, test_loader

DOCUMENTATION = """
name: loaded_filters
type: aggregate
short_description: Load the filters of the project and common plugins before the first task, and keep memory shared
description: Prints nothing.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Has its effect in the process that all others are forked from."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "loaded_filters"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: object) -> None:  # noqa: ARG002 (given by name)
        """Find one of each; all are loaded on the way."""
        filter_loader.get("tandem_problems")
        test_loader.get("version")
        for name in ("copy", "normal", "template"):
            action_loader.get(name, class_only=True)
        lookup_loader.get("env", class_only=True)
        # What arguments and results of modules are written and read with.
        get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)
        get_module_decoder("legacy", Direction.MODULE_TO_CONTROLLER)

    def v2_playbook_on_task_start(self, task: object, is_conditional: object) -> None:  # noqa: ARG002 (given by name)
        """Leave what there is out of all further searches for garbage."""
        gc.freeze()
