"""The gate's tasks that run on nodes: one node that is lost must not end them for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

TASKS = Path(__file__).parents[3] / "roles/fabric_gate/tasks"
LOCAL = ("ansible.builtin.set_fact", "ansible.builtin.debug")


def tasks_of(name: str) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = yaml.safe_load((TASKS / name).read_text())
    return [task for task in tasks if "block" not in task and not any(module in task for module in LOCAL)]


@pytest.mark.parametrize("name", ["observe.yml", "step.yml", "store.yml"])
def test_a_lost_node_leaves_the_verdicts_of_others(name: str) -> None:
    tasks = tasks_of(name)

    assert tasks
    for task in tasks:
        # Both: any_errors_fatal of the play ends it for an unreachable node that is ignored, too.
        assert (task.get("ignore_unreachable"), task.get("any_errors_fatal")) == (True, False), task["name"]
