"""The callback, in a run of ansible-playbook: what it loads is there in the process that is forked for each task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
#: A strategy runs in the process that forks, after the start of the playbook and before the first task.
STRATEGY = """
import sys
from ansible.plugins.strategy.linear import StrategyModule as Linear

class StrategyModule(Linear):
    def run(self, iterator, play_context):
        sys.stderr.write(f"loaded: {'tandem.plan.stage' in sys.modules}\\n")
        return super().run(iterator, play_context)
"""


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [({}, True), ({"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.timer"}, False)],
    ids=["as in ansible.cfg", "without it"],
)
def test_filters_are_loaded_before_the_first_task(tmp_path: Path, settings: dict[str, str], loaded: bool) -> None:
    (tmp_path / "watching.py").write_text(STRATEGY)
    play = [{"hosts": "localhost", "gather_facts": False, "strategy": "watching", "tasks": [{"meta": "noop"}]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    environment = os.environ | {
        "ANSIBLE_STRATEGY_PLUGINS": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        **settings,
    }
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(tmp_path / "play.yml")]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert f"loaded: {loaded}" in done.stderr, done
