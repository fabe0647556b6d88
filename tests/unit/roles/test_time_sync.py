"""The clocks of two nodes, one of which tells another time: real shells, and a date that is ahead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def verify(directory: Path, ahead_sec: int, **variables: object) -> str:
    programs = directory / "programs"
    programs.mkdir()
    real = "/usr/bin/date" if Path("/usr/bin/date").exists() else "/bin/date"
    (programs / "date").write_text(f'#!/bin/sh\nexec {real} --date "{ahead_sec} seconds" "$@"\n')
    # The shell that Ansible starts on the second node finds this date first.
    (directory / "shell").write_text(f'#!/bin/sh\nPATH={programs}:$PATH exec /bin/sh "$@"\n')
    for program in (programs / "date", directory / "shell"):
        program.chmod(0o755)
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "time_sync_manage": True,
        # The machine that runs this test need not have chrony.
        "time_sync_require_source": False,
    }
    hosts = {"n1": {}, "n2": {"ansible_shell_executable": str(directory / "shell")}}
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common | variables}}))
    include = {"ansible.builtin.include_role": {"name": "time_sync", "tasks_from": "verify"}}
    facts = {"ansible.builtin.setup": {"gather_subset": ["!all", "distribution"]}}
    (directory / "play.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [facts, include]}])
    )
    environment = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CACHE_PLUGIN": "memory",
        "ANSIBLE_HOME": str(directory / "home"),
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    argv = [program, "-i", str(directory / "hosts.json"), str(directory / "play.yml"), "--check"]
    done = subprocess.run(argv, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False)
    return " ".join((done.stdout + done.stderr).split()) + f" exit {done.returncode}"


def test_the_nodes_and_the_skew_are_named(tmp_path: Path) -> None:
    output = verify(tmp_path, ahead_sec=150)

    assert "time_sync_max_skew_ms is 100, but clocks are further apart: n2 is 1" in output, output
    assert "ms ahead of n1 (measured to " in output
    assert output.endswith("exit 2")


def test_clocks_that_agree_are_left_in_peace(tmp_path: Path) -> None:
    output = verify(tmp_path, ahead_sec=-20, time_sync_max_skew_ms=60000)

    assert output.endswith("exit 0"), output
