"""The connection plugin in runs of ansible-playbook, against a program that takes the place of ssh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.drift.warm import broker

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
SSH = """#!{python}
import os, sys
with open({log!r}, "a") as log:
    log.write(sys.argv[-1].replace("\\n", " ") + "\\n")
if {refuses!r} and "exec" in sys.argv[-1]:
    sys.exit(255)
os.execv("/bin/sh", ["/bin/sh", "-c", sys.argv[-1]])
"""
TASKS = [
    {"name": "Look", "ansible.builtin.stat": {"path": "/etc/passwd"}, "register": "look"},
    {"name": "Look again", "ansible.builtin.stat": {"path": "/etc/group"}, "register": "again"},
    {"name": "Write", "ansible.builtin.copy": {"content": "words\n", "dest": "{{ place }}/file", "mode": "0600"}},
    {"name": "Run", "ansible.builtin.command": "echo words", "register": "run"},
    {"name": "Run on this machine", "ansible.builtin.command": "true", "delegate_to": "localhost"},
    {"name": "Take too long", "ansible.builtin.command": "sleep 60", "timeout": 2, "ignore_errors": True},
    {"name": "Fail", "ansible.builtin.command": "false", "ignore_errors": True},
    {
        "name": "Judge",
        "ansible.builtin.assert": {"that": ["look.stat.exists", "again.stat.exists", "run.stdout == 'words'"]},
    },
]


@pytest.fixture
def play(tmp_path):
    """Run the tasks; return the process and what ssh was called with."""

    def run(refuses=False, variables=None, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        ssh = tmp_path / "ssh"
        log = tmp_path / "log"
        ssh.write_text(SSH.format(python=sys.executable, log=str(log), refuses=refuses))
        ssh.chmod(0o755)
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": TASKS}]))
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", "far,", str(tmp_path / "play.yml")),
                *(
                    "-e",
                    json.dumps(
                        {"place": str(tmp_path), "ansible_python_interpreter": sys.executable} | (variables or {})
                    ),
                ),
            ],
            cwd=ROOT,
            env=os.environ
            | {
                "ANSIBLE_HOME": str(tmp_path / "home"),
                "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
                "ANSIBLE_SSH_EXECUTABLE": str(ssh),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "cp"),
                "ANSIBLE_SSH_TRANSFER_METHOD": "piped",
                "ANSIBLE_TRANSPORT": "warm_ssh",
                "ANSIBLE_CONNECTION_PLUGINS": str(ROOT / "plugins" / "connection"),
                "ANSIBLE_CALLBACKS_ENABLED": "loaded_filters",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done, log.read_text().splitlines()

    return run


def recap(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.splitlines()[-2].split())


def test_a_run_needs_one_ssh_command_and_ends_as_by_plain_ssh(play, tmp_path):
    with broker.started(tmp_path / "warm"):
        warm, calls = play(TANDEM_DRIFT_WARM=str(tmp_path / "warm"))
    # A file that differs is brought as ever, which is nothing that check mode does.
    assert [call.split()[0] for call in calls] == ["/bin/sh", "dd"], calls
    (tmp_path / "file").unlink()
    (tmp_path / "log").unlink()
    plain, plain_calls = play()
    assert recap(warm) == recap(plain)
    assert len(plain_calls) > len(calls) + 6


@pytest.mark.parametrize(
    ("settings", "servers"),
    [
        ({"TANDEM_DRIFT_WARM": "/nowhere"}, 0),
        ({"refuses": True}, 1),
        ({"variables": {"ansible_password": "typed"}}, 0),
        ({"variables": {"ansible_pipelining": False}}, 0),
    ],
    ids=["no broker", "no server starts", "a password", "no pipelining"],
)
def test_what_cannot_be_warm_is_done_by_plain_ssh(play, tmp_path, settings, servers):
    with broker.started(tmp_path / "warm"):
        done, calls = play(**{"TANDEM_DRIFT_WARM": str(tmp_path / "warm")} | settings)
    assert "changed=4" in recap(done)
    assert sum("exec" in call for call in calls) == servers
    assert len(calls) > 8
