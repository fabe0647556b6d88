"""Read the listening sockets of a node with ss, and find the systemd unit behind each."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..process import run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PROCESS = re.compile(r'\("(?P<name>(?:[^"\\]|\\.)*)",pid=(?P<pid>\d+)')
CGROUP = re.compile(r"\bcgroup:(?P<path>/\S*)")
UNIT = re.compile(r"[^/]+\.(?:service|socket|scope)$")


@dataclass(frozen=True)
class Socket:
    """One listening socket. ``address`` is ``*`` for one that serves IPv4 and IPv6 alike."""

    protocol: str
    address: str
    port: int
    interface: str | None = None
    pid: int | None = None
    process: str | None = None
    unit: str | None = None


class SocketsError(Exception):
    """ss failed or printed something that is no socket; the message is meant for a person."""


def parse_endpoint(text: str) -> tuple[str, str | None, int]:
    """Split ``address%interface:port`` or ``[address]%interface:port`` into its parts."""
    address, _, port = text.rpartition(":")
    address, _, interface = address.partition("%")
    if not address or not port.isdigit():
        raise SocketsError(f"ss: {text!r} is not address:port")
    # An IPv6 socket bound to an IPv4 address serves that address.
    return address.strip("[]").removeprefix("::ffff:"), interface or None, int(port)


def parse_sockets(text: str) -> list[Socket]:
    """Read the output of ``ss -H -l -n -p --cgroup`` with one or both of ``-t`` and ``-u``.

    The control group is known to the kernel even where the process may not be looked at, as in a container without
    the right to trace.
    ss leaves out the column with the protocol when it was asked for one only, so such lines start with their state.
    """
    sockets = []
    for line in text.splitlines():
        if not line.strip():
            continue
        fields = line.split()
        if fields[0] in ("LISTEN", "UNCONN"):
            fields.insert(0, "tcp" if fields[0] == "LISTEN" else "udp")
        if len(fields) < 6 or fields[0] not in ("tcp", "udp"):
            raise SocketsError(f"ss: cannot read the line {line!r}")
        address, interface, port = parse_endpoint(fields[4])
        # A socket that a process has inherited names several; the first one is enough to find the unit.
        owner = PROCESS.search(line)
        cgroup = CGROUP.search(line)
        sockets.append(
            Socket(
                protocol=fields[0],
                address=address,
                port=port,
                interface=interface,
                pid=int(owner["pid"]) if owner else None,
                process=owner["name"] if owner else None,
                unit=find_unit(cgroup["path"]) if cgroup else None,
            )
        )
    return sockets


def find_unit(path: str) -> str | None:
    """Find the innermost systemd unit in the path of a control group.

    Paths nest (``user@0.service/app.slice/some.service``), and a service may have made sub-groups for itself.
    """
    units = [part for part in path.split("/") if UNIT.match(part)]
    return units[-1] if units else None


def parse_unit(cgroup: str) -> str | None:
    """Find the systemd unit in the text of /proc/PID/cgroup, for cgroup v2 and for the hybrid layout."""
    paths = {}
    for line in cgroup.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths[controllers] = path
    # In the hybrid layout systemd keeps its units in a hierarchy of its own, but not in a container that has cgroup v2.
    return find_unit(paths.get("name=systemd", "")) or find_unit(paths.get("", ""))


def read_unit(proc_root: Path, pid: int) -> str | None:
    """Find the unit of a process; None if it has none or has just ended."""
    try:
        return parse_unit((proc_root / str(pid) / "cgroup").read_text(encoding="utf-8"))
    except OSError:
        return None


def add_units(sockets: Sequence[Socket], unit_of: Callable[[int], str | None]) -> list[Socket]:
    """Fill in the units that ss could not tell, by process."""
    return [
        replace(socket, unit=unit_of(socket.pid)) if socket.unit is None and socket.pid is not None else socket
        for socket in sockets
    ]


def read_sockets(protocols: Sequence[str], proc_root: Path, timeout_s: float) -> list[Socket]:
    """Run ss and return what listens, in the order of protocol, port and address."""
    flags = [{"tcp": "-t", "udp": "-u"}[protocol] for protocol in protocols]
    result = run_command(["ss", "-H", "-l", "-n", *flags, "-p", "--cgroup"], timeout_s=timeout_s)
    if result.returncode != 0:
        raise SocketsError(f"ss ended with status {result.returncode}: {result.stderr.strip()}")
    sockets = add_units(parse_sockets(result.stdout), lambda pid: read_unit(proc_root, pid))
    return sorted(sockets, key=lambda socket: (socket.protocol, socket.port, socket.address))
