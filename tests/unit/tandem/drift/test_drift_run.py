"""Real runs of ansible-playbook on this machine, through ansible-runner, in a project of the same layout."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tandem.cli import main
from tandem.drift import run
from tandem.errors import TandemError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
SITE = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy: {content: "wanted\\n", dest: "{{ state }}/file", mode: "0644"}
      notify: Restart it
    - name: Write a secret
      ansible.builtin.copy: {content: "s3cret-{{ 1 + 1 }}\\n", dest: "{{ state }}/secret", mode: "0600"}
      no_log: true
    - name: Do what check mode cannot
      ansible.builtin.command: "true"
      changed_when: false
  handlers:
    - name: Restart it
      ansible.builtin.command: "true"
      changed_when: true
"""
HOSTS = """
all:
  hosts: {{here: {{ansible_connection: local, state: {state}}}}}
  vars: {{ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"}}
"""
VERIFY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.command: test -e {{ state }}/works
      changed_when: false
"""


@pytest.fixture
def project(tmp_path):
    for name in ("ansible.cfg", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "site.yml").write_text(SITE)
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "verify.yml").write_text(VERIFY)
    inventory = tmp_path / "inventories" / "one"
    inventory.mkdir(parents=True)
    (inventory / "hosts.yml").write_text(HOSTS.format(state=inventory.parent))
    (inventory.parent / "file").write_text("wanted\n")
    (inventory.parent / "file").chmod(0o644)
    (inventory.parent / "secret").write_text("s3cret-2\n")
    (inventory.parent / "secret").chmod(0o600)
    (inventory.parent / "works").touch()
    return inventory


@pytest.fixture(autouse=True)
def own_signals():
    """Put the handler of SIGTERM back, which the command takes for itself."""
    former = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, former)


def drift(inventory, capsys, *more):
    status = main(["drift", "--inventory", str(inventory), *more])
    return status, capsys.readouterr().out


def test_clean_then_drift_then_repaired(project, capsys):
    status, text = drift(project, capsys)
    assert (status, "clean, 1 node looked" in text) == (0, True), text
    assert "not looked at, as check mode cannot: playbooks (1)" in text

    (project.parent / "file").write_text("changed\n")
    (project.parent / "secret").write_text("s3cret-1\n")
    (project.parent / "works").unlink()
    status, text = drift(project, capsys)
    assert status == 2
    assert f"Write a file: {project.parent}/file" in text
    assert "-changed" in text
    assert "does not work: Look" in text
    assert "a repair restarts: Restart it (here)" in text
    assert "s3cret" not in text
    document = (project.parents[1] / ".tandem" / "one" / "drift" / "report.json").read_text()
    assert "Write a secret" in document
    assert "s3cret" not in document
    assert (project.parent / "file").read_text() == "changed\n"

    (project.parent / "works").touch()
    status, text = drift(project, capsys, "--repair")
    assert status == 0, text
    assert (project.parent / "file").read_text() == "wanted\n"
    assert "clean, 1 node looked" in text


def test_what_cannot_be_told_is_neither_clean_nor_drift(project, capsys):
    (project.parents[1] / "site.yml").write_text("- hosts: all\n  tasks: [{name: Bad, no_such_module: {}}]\n")
    status, text = drift(project, capsys)
    assert status == 1
    assert "could not tell" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--inventory", "/nonexistent"], "the inventory /nonexistent does not exist"),
        (["--inventory", "/", "--allow-reboot"], "without --repair"),
    ],
)
def test_bad_arguments_are_errors_with_words(arguments, message, capsys):
    assert main(["drift", *arguments]) in (1, 2)
    assert message in capsys.readouterr().err


def test_a_directory_without_a_project_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TandemError, match=r"no site\.yml"):
        run.find_project(tmp_path)


def test_nothing_of_a_run_is_left(project, capsys, monkeypatch, tmp_path_factory):
    directory = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    drift(project, capsys)
    assert list(directory.iterdir()) == []
    shutil.rmtree(directory)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_runs_and_leaves_nothing(project, tmp_path_factory, number):
    directory = tmp_path_factory.mktemp("temporary")
    mark = f"600.{directory.stat().st_ino}"
    tasks = [{"name": "Wait", "ansible.builtin.command": f"sleep {mark}", "check_mode": False}]
    (project.parents[1] / "site.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    argv = [str(Path(sys.executable).parent / "tandem"), "drift", "--inventory", str(project)]

    def found(pattern):
        return subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False).returncode == 0

    with subprocess.Popen(argv, env=os.environ | {"TMPDIR": str(directory)}, stdin=subprocess.DEVNULL) as started:
        try:
            until(lambda: found(f"sleep {mark}"))
            started.send_signal(number)
            assert started.wait(timeout=60) not in (0, 2)
            until(lambda: not found(f"ansible-playbook .*{project}"))
        finally:
            started.kill()
            # What a module started on a node ends by itself, as it does where any run of Ansible is ended.
            subprocess.run(["pkill", "-f", f"sleep {mark}"], check=False)
    assert list(directory.glob("tandem-*")) == []


def until(condition):
    """Wait for a condition, at most a minute."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)
