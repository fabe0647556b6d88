"""Two virtual machines, joined by a link that Soft-RoCE runs on: made for one run of the tests, gone after it.

``python -m tests.rdma.machines`` starts them for a person, and says how to reach them. With TANDEM_RDMA_MACHINES set to
the directory it prints, the tests use these machines instead of their own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NODES = ("node1", "node2")
NEEDED = ("qemu-system-x86_64", "mmdebstrap", "mke2fs", "setpriv", "ssh", "ssh-keygen")
BOOT_TIMEOUT_SEC = 240


class MachineError(Exception):
    """The machines could not be made; the message says what was missing."""


@dataclass(frozen=True)
class Machines:
    """Running machines, as their directory describes them."""

    directory: Path

    @property
    def ssh_config(self) -> Path:
        """Return the configuration that both Ansible and these tests connect with."""
        return self.directory / "ssh_config"

    def ssh(self, node: str, command: str, *, check: bool = True, timeout_sec: float = 60) -> str:
        """Run a shell command on a node as root and return its output."""
        argv = ["ssh", "-n", "-F", str(self.ssh_config), "-o", "ControlMaster=auto", "-o", "ControlPersist=60s"]
        argv += ["-o", f"ControlPath={self.directory}/cm-%n", node, command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_sec, check=False)
        if check and done.returncode:
            raise AssertionError(f"{node}: {command!r} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def disconnect(self, node: str) -> None:
        """Forget connections to a node that goes down: they would be waited for."""
        for path in (*self.directory.glob(f"cm-{node}"), *self.directory.glob("cp/*")):
            argv = ["ssh", "-n", "-F", str(self.ssh_config), "-o", f"ControlPath={path}", "-O", "exit", node]
            subprocess.run(argv, capture_output=True, timeout=30, check=False)


def missing() -> list[str]:
    """Return the programs that this computer lacks."""
    return [
        program for program in NEEDED if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None
    ]


def image() -> Path:
    """Return the directory of what the machines boot from; it is built where there is none yet."""
    done = subprocess.run([ROOT / "scripts/rdma-image"], stdout=subprocess.PIPE, text=True, timeout=900, check=False)
    if done.returncode:
        raise MachineError("the image of the virtual machines could not be built: see above")
    return Path(done.stdout.strip())


@contextlib.contextmanager
def running() -> Iterator[Machines]:
    """Start both machines and wait until they answer. They end with this process, however it ends."""
    booted = image()
    # Unix sockets need short paths.
    directory = Path(tempfile.mkdtemp(prefix="tandem-rdma-"))
    processes: list[subprocess.Popen[bytes]] = []
    ports: list[int] = []
    try:
        _make_key(directory / "id")
        for number, node in enumerate(NODES, start=1):
            _make_key(directory / f"{node}.host")
            processes.append(_start(directory, booted, node, number))
            # An answer also says that the first machine's end of the cable is there for the second.
            ports.append(_ssh_port(directory, node, processes[-1]))
        _write_ssh_files(directory, ports)
        machines = Machines(directory)
        for node, process in zip(NODES, processes, strict=True):
            wait_for_ssh(machines, node, process)
        yield machines
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        shutil.rmtree(directory)


def wait_for_ssh(machines: Machines, node: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a node answers."""
    ends = time.monotonic() + BOOT_TIMEOUT_SEC
    argv = ["ssh", "-n", "-F", str(machines.ssh_config), node, "true"]
    answer = ""
    while time.monotonic() < ends:
        if process is not None and process.poll() is not None:
            raise MachineError(f"{node}: the virtual machine ended: {_log(machines.directory, node)}")
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0:
            return
        answer = done.stderr.strip()
        time.sleep(0.5)
    raise MachineError(f"{node} did not answer in {BOOT_TIMEOUT_SEC} s: {answer}\n{_log(machines.directory, node)}")


def _log(directory: Path, node: str) -> str:
    logs = (directory / f"{node}.qemu", directory / f"{node}.console")
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in logs if path.exists())


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True, timeout=30)


def _start(directory: Path, booted: Path, node: str, number: int) -> subprocess.Popen[bytes]:
    """Start one machine. The first one is the server of the cable between them."""
    # A readable /dev/kvm proves nothing: emulation works everywhere, and no test here measures speed.
    accelerator = os.environ.get("TANDEM_RDMA_ACCEL", "tcg")
    _write_credentials(directory, node)
    cable = f"stream,id=link,server={'on' if number == 1 else 'off'},addr.type=unix,addr.path={directory}/cable"
    options = {
        "name": node,
        "machine": f"q35,accel={accelerator}",
        "cpu": "host" if accelerator == "kvm" else "Nehalem-v1",
        "smp": "1",
        "m": "1024",
        "display": "none",
        "kernel": booted / "vmlinuz",
        "initrd": booted / "initrd",
        "append": f"root=/dev/vda rw console=ttyS0 systemd.hostname={node} mitigations=off quiet",
        "serial": f"file:{directory}/{node}.console",
        "qmp": f"unix:{directory}/{node}.qmp,server=on,wait=off",
        # Keys of this run alone. systemd hands them to the machine's files before sshd starts.
        "fw_cfg": f"name=opt/io.systemd.credentials/tmpfiles.extra,file={directory}/{node}.credentials",
        # What a machine writes goes to a nameless temporary file.
        "drive": f"if=none,id=disk,file={booted}/root.ext4,format=raw,snapshot=on",
    }
    devices = [
        ["-device", "virtio-blk-pci,drive=disk"],
        ["-netdev", "user,id=management,restrict=on,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22"],
        ["-device", "virtio-net-pci,netdev=management,romfile="],
        ["-netdev", cable],
        # virtio-net stalls under RDMA's load. The port in between can do more than the card, as on a real board.
        ["-device", "pcie-root-port,id=riser,chassis=1,slot=1"],
        ["-device", f"e1000e,bus=riser,netdev=link,mac=52:54:00:64:00:0{number},romfile="],
    ]
    argv = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-user-config"]
    argv += [part for option, value in options.items() for part in (f"-{option}", str(value))]
    argv += [part for device in devices for part in device]
    with (directory / f"{node}.qemu").open("wb") as log:
        # In a session of its own: Ctrl-C is for us, and we end the machines.
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _write_credentials(directory: Path, node: str) -> None:
    files = {"/root/.ssh/authorized_keys": "id.pub", "/etc/ssh/ssh_host_ed25519_key": f"{node}.host"}
    lines = ["d /root/.ssh 0700 root root"]
    for path, source in files.items():
        content = base64.b64encode((directory / source).read_bytes()).decode()
        lines.append(f"f~ {path} 0600 root root - {content}")
    (directory / f"{node}.credentials").write_text("\n".join(lines) + "\n")


def _write_ssh_files(directory: Path, ports: list[int]) -> None:
    keys = {node: (directory / f"{node}.host.pub").read_text() for node in NODES}
    (directory / "known_hosts").write_text("".join(f"{node} {key}" for node, key in keys.items()))
    shared = {
        "HostName": "127.0.0.1",
        "User": "root",
        "BatchMode": "yes",
        "ConnectTimeout": "15",
        "IdentitiesOnly": "yes",
        "IdentityFile": directory / "id",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": directory / "known_hosts",
        "GlobalKnownHostsFile": "none",
    }
    lines = []
    for node, port in zip(NODES, ports, strict=True):
        lines += [f"Host {node}", f"  HostKeyAlias {node}", f"  Port {port}"]
        lines += [f"  {key} {value}" for key, value in shared.items()]
    (directory / "ssh_config").write_text("\n".join(lines) + "\n")


def _ssh_port(directory: Path, node: str, process: subprocess.Popen[bytes]) -> int:
    """Return the port of this machine that qemu found free."""
    ends = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < ends:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(10)
            connection.connect(f"{directory}/{node}.qmp")
            stream = connection.makefile("rw")
            stream.readline()  # a greeting
            _ask(stream, "qmp_capabilities")
            table = _ask(stream, "human-monitor-command", {"command-line": "info usernet"})
            return int(next(line.split() for line in str(table).splitlines() if "HOST_FORWARD" in line)[3])
        time.sleep(0.05)
    raise MachineError(f"{node}: qemu did not start: {_log(directory, node)}")


def _ask(stream: Any, command: str, arguments: dict[str, str] | None = None) -> object:
    stream.write(json.dumps({"execute": command, "arguments": arguments or {}}) + "\n")
    stream.flush()
    while True:
        answer = json.loads(stream.readline())
        if "return" in answer or "error" in answer:  # others are events
            return answer["return"]


if __name__ == "__main__":
    if absent := missing():
        sys.exit(f"this computer lacks: {', '.join(absent)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with running() as found:
            sys.stderr.write(f"ssh -F {found.ssh_config} node1\nTANDEM_RDMA_MACHINES={found.directory}\n")
            signal.pause()
    except MachineError as error:
        sys.exit(str(error))
