"""Load this project's filters once, before Ansible forks a process for each task and node, which would load them again.

Ansible looks for a filter in all files of them, and forgets with the process what it loaded.
"""

from __future__ import annotations

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader

DOCUMENTATION = """
name: loaded_filters
type: aggregate
short_description: Load the filters of the project before the first task
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
