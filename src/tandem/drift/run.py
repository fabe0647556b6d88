"""Runs of the project's playbooks through ansible-runner; what they did comes back as a journal."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.drift import journal
from tandem.drift.warm import broker, client
from tandem.errors import TandemError

if TYPE_CHECKING:
    import ansible_runner


@dataclass(frozen=True, kw_only=True)
class Job:
    """A playbook to run, and how. `variables` win over those of the inventory."""

    playbook: str
    check: bool
    skip_tags: tuple[str, ...] = ()
    limit: str | None = None
    forks: int | None = None
    variables: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job did. `status` is ansible-runner's: `successful`, `failed`, `canceled`, `timeout`."""

    entries: tuple[journal.Entry, ...]
    status: str
    output: str


def find_project(inventory: Path) -> Path:
    """Return the directory of site.yml: above the inventory, or this one.

    Raises:
        TandemError: There is none, or no inventory.
    """
    if not inventory.exists():
        raise TandemError(f"the inventory {inventory} does not exist; name one with --inventory")
    for directory in (*inventory.resolve().parents, Path.cwd()):
        if (directory / "site.yml").is_file() and (directory / "ansible.cfg").is_file():
            return directory
    raise TandemError(
        f"no site.yml beside ansible.cfg above {inventory}, or here: run this in the checkout of the project"
    )


def run(jobs: Sequence[Job], inventory: Path, project: Path, *, warm: bool = False) -> list[Outcome]:
    """Run the jobs at once and return what each did. An interrupt (SIGINT, SIGTERM) ends them all first.

    Args:
        warm: Keep a Python ready on each node, which saves most of what a module costs there. For runs that change
            nothing: what changes a node runs as everyone runs it.

    Raises:
        TandemError: ansible-runner is not installed.
    """
    try:
        import ansible_runner
    except ModuleNotFoundError as error:
        raise TandemError(
            "ansible-runner is not installed here: install tandem with its extra, tandem[control]"
        ) from error

    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-drift-"))
        environment = _warmth(stack, Path(directory) / "warm", project) if warm else {}
        modules = Path(directory) / "modules"
        modules.mkdir()
        environment["TANDEM_DRIFT_MODULES"] = str(modules)
        started: list[tuple[Path, Any, threading.Thread]] = []
        ended = threading.Event()
        try:
            for number, job in enumerate(jobs):
                private = Path(directory) / str(number)
                private.mkdir(mode=0o700)
                runner = ansible_runner.interface.init_runner(
                    **_arguments(job, inventory, project, private, environment), cancel_callback=ended.is_set
                )
                # In the place of ansible-runner's own, which writes and reads a file for each task of each node.
                runner.config.env["ANSIBLE_STDOUT_CALLBACK"] = "drift_journal"
                thread = threading.Thread(target=runner.run)
                thread.start()
                started.append((private, runner, thread))
            for _, _, thread in started:
                thread.join()
        except BaseException:
            ended.set()
            for _, _, thread in started:
                thread.join(timeout=30)
            _end_workers(directory)
            raise
        return [_outcome(private, runner) for private, runner, _ in started]


def _end_workers(directory: str) -> None:
    """End what is left of runs whose environment names this directory.

    Ansible's workers have sessions of their own, and go on when ansible-runner has killed the process that made them.
    Connections of ssh are left alone: other runs may share them.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                directory.encode() in (process / "environ").read_bytes()
                and b"ansible-playbook" in (process / "cmdline").read_bytes()
                and int(process.name) != os.getpid()
            ):
                os.kill(int(process.name), signal.SIGKILL)


def _warmth(stack: contextlib.ExitStack, socket: Path, project: Path) -> dict[str, str]:
    """Start what keeps nodes warm until the stack ends, and return by which variables Ansible finds it.

    Not where it was switched off, to see how much it saves, or whether it is to blame.
    """
    if os.environ.get(client.VARIABLE) == "off":
        return {}
    try:
        stack.enter_context(broker.started(socket))
    except OSError:  # A socket's name may not be long. What is done by plain SSH takes its time, and is the same.
        return {}
    return {
        # Not as a variable of Ansible, which would hold for this machine, too.
        "ANSIBLE_TRANSPORT": "warm_ssh",
        "ANSIBLE_CONNECTION_PLUGINS": str(project / "plugins" / "connection"),
        client.VARIABLE: str(socket),
    }


def _arguments(
    job: Job, inventory: Path, project: Path, private: Path, environment: Mapping[str, str]
) -> dict[str, Any]:
    journal_file = private / "journal"
    journal_file.touch(mode=0o600)
    arguments: dict[str, Any] = {
        "private_data_dir": str(private),
        "project_dir": str(project),
        "playbook": job.playbook,
        "inventory": str(inventory.resolve()),
        "envvars": {
            "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
            # ansible-runner would put its own directory in the place of ours.
            "ANSIBLE_CALLBACK_PLUGINS": str(project / "plugins" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "loaded_filters",
            "ANSIBLE_NOCOLOR": "1",
            # ansible-runner would switch it off.
            "ANSIBLE_HOST_KEY_CHECKING": "True",
            # Facts of this run. Those in files would be read and decoded for each task of each node.
            "ANSIBLE_CACHE_PLUGIN": "memory",
            "TANDEM_DRIFT_JOURNAL": str(journal_file),
            **environment,
        },
        "cmdline": " ".join((["--check", "--diff"] if job.check else []) + [f"--forks={job.forks}"] * bool(job.forks)),
        "quiet": True,
        "suppress_env_files": True,
        # It asks whether it was cancelled as often.
        "settings": {"pexpect_timeout": 0.2},
    }
    if job.skip_tags:
        arguments["skip_tags"] = ",".join(job.skip_tags)
    if job.limit:
        arguments["limit"] = job.limit
    if job.variables:
        arguments["extravars"] = dict(job.variables)
    return arguments


def _outcome(private: Path, runner: ansible_runner.Runner) -> Outcome:
    output = ""
    if runner.stdout is not None:
        with runner.stdout as file:
            output = file.read()
    return Outcome(entries=tuple(journal.read(private / "journal")), status=runner.status, output=output)
