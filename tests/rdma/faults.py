"""Faults, made for real on node2 and taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.rdma.fabric import Fabric, until

NODE = "node2"
CONTROL_PORT = 18515
#: Long enough for the run to be under way, far shorter than the run.
KILL_AFTER_SEC = 1

#: A program that has the port and does not answer on it, once connections of runs before it are forgotten.
_HELD = "/run/held"
_HOLD = f"""
import pathlib, socket, time
held = socket.socket()
while True:
    try:
        held.bind(("", {CONTROL_PORT}))
        break
    except OSError:
        time.sleep(0.2)
pathlib.Path("{_HELD}").touch()
time.sleep(600)
"""
#: Ends the server of a bandwidth measurement once its client has come and it had time to begin.
_KILL = f"""
until ss -Htn state established sport = :{CONTROL_PORT} | grep -q . && pgrep -x 'ib_(send|write)_bw'; do sleep 0.1; done
sleep {KILL_AFTER_SEC}
pkill -KILL -x 'ib_(send|write)_bw'
"""


def repaired(fabric: Fabric) -> None:
    """Wait until the link carries full frames and both RDMA ports are active."""
    until(fabric.works, timeout_sec=60, what="the link and its RDMA devices work again")


@contextmanager
def no_device(fabric: Fabric) -> Iterator[None]:
    """Nobody uses the device now: one that vanishes under traffic can leave a client that cannot be ended."""
    device, interface = fabric.device(NODE), fabric.interface(NODE)
    fabric.ssh(NODE, f"rdma link delete {device}")
    try:
        yield
    finally:
        fabric.ssh(NODE, f"rdma link add {device} type rxe netdev {interface}")
        repaired(fabric)


@contextmanager
def interface_down(fabric: Fabric) -> Iterator[None]:
    """An emulated card has no cable to pull."""
    interface = fabric.interface(NODE)
    fabric.ssh(NODE, f"ip link set {interface} down")
    try:
        yield
    finally:
        fabric.ssh(NODE, f"ip link set {interface} up; nmcli --wait 30 connection up link0")
        repaired(fabric)


@contextmanager
def mtu(fabric: Fabric, size_bytes: int) -> Iterator[None]:
    """One end has another MTU."""
    interface = fabric.interface(NODE)
    former = fabric.ssh(NODE, f"cat /sys/class/net/{interface}/mtu")
    fabric.ssh(NODE, f"ip link set {interface} mtu {size_bytes}")
    try:
        yield
    finally:
        fabric.ssh(NODE, f"ip link set {interface} mtu {former}")
        repaired(fabric)


@contextmanager
def dropped(fabric: Fabric, packets: str) -> Iterator[None]:
    """Something on the way, as node2 sees it, drops these packets."""
    chain = "type filter hook input priority -300; policy accept;"
    rule = f"iifname {fabric.interface(NODE)} {packets} counter drop"
    fabric.ssh(NODE, f"nft 'table inet faults {{ chain input {{ {chain} {rule}; }}; }}'")
    try:
        yield
        # A rule that nothing met would prove nothing.
        assert "counter packets 0 " not in fabric.ssh(NODE, "nft list table inet faults")
    finally:
        fabric.ssh(NODE, "nft delete table inet faults")


@contextmanager
def running(fabric: Fabric, *command: str) -> Iterator[None]:
    """Run a command beside the gate."""
    quoted = " ".join("'" + part.replace("'", "'\\''") + "'" for part in command)
    fabric.ssh(NODE, f"systemd-run --quiet --collect --unit=fault {quoted}")
    try:
        yield
    finally:
        fabric.ssh(NODE, "systemctl stop fault.service", check=False)


@contextmanager
def port_taken(fabric: Fabric) -> Iterator[None]:
    """Something else has the server's port, so that nobody listens there."""
    fabric.ssh(NODE, f"rm -f {_HELD}; ss -K state time-wait sport = :{CONTROL_PORT}")
    with running(fabric, "python3", "-c", _HOLD):
        until(lambda: fabric.ssh(NODE, f"ls {_HELD}", check=False) != "", timeout_sec=90, what="the port is taken")
        yield


def killed_server(fabric: Fabric) -> AbstractContextManager[None]:
    """The server of the bandwidth measurement dies in the middle of it."""
    return running(fabric, "bash", "-c", _KILL)
