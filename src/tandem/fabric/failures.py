"""What a run that failed means, from what both of its ends say and from the runs that passed before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tandem.fabric.findings import Finding
from tandem.fabric.outcome import End
from tandem.fabric.settings import BANDWIDTH_TESTS

#: What an end can fail of by itself. In this order, whichever end it is: a later one may follow from an earlier one.
OWN_KINDS = {
    "missing_tool": "missing_tool",
    "no_device": "no_device",
    "unknown_device": "no_device",
    "port_down": "port_down",
    "permission": "permission",
    "memlock": "memlock",
    "gid_out_of_range": "wrong_gid",
    "version_mismatch": "version_mismatch",
    "gid_mismatch": "wrong_gid",
}
#: These concern both ends alike.
_OF_BOTH = ("version_mismatch", "gid_mismatch")
_TOOLS = {"roce": "perftest", "tcp": "iperf3 and ping"}


@dataclass(frozen=True)
class Run:
    """One run that was tried, and what is known about the way it takes."""

    transport: str
    link: str
    test: str
    message_size_bytes: int
    iterations: int | None
    timeout_s: float
    client: End
    server: End
    server_address: str
    control_port: int
    packet_bytes: int
    """What a packet holds at most: the active MTU for RoCE, the link's MTU for TCP."""
    passed_sizes: Sequence[int] = ()
    """Sizes that passed before in this direction."""
    slow_because: str = ""
    """What is known to make the way slow."""

    @property
    def name(self) -> str:
        """Return the run in words."""
        return f"{self.client.node} to {self.server.node}: {self.test} of {self.message_size_bytes} bytes"

    @property
    def way(self) -> str:
        """Return the direction in words."""
        return f"{self.client.node} to {self.server.node} ({self.server_address})"


def was_tried(client: Mapping[str, Any] | None, server: Mapping[str, Any] | None) -> bool:
    """Return whether there is anything to judge: a client that ran, or a server that could not."""
    return End("", client).state != "absent" or End("", server).state in ("unreachable", "failed", "broken")


def failure(run: Run) -> Finding | None:
    """Return why the run failed; None if its client ended well, whatever the server made of that."""
    if run.client.state == "ok":
        return None
    for end in (run.client, run.server):
        if end.state == "unreachable":
            return _unreachable(end)
    return _own(run) or _between(run)


def _unreachable(end: End) -> Finding:
    return Finding(
        "peer_unreachable",
        f"{end.node} could not be reached any more by Ansible: {end.words}",
        f"check that {end.node} runs and answers ssh; if it stopped during the measurement, look at "
        "'journalctl -b -1 -e'",
        end.node,
    )


def _own(run: Run) -> Finding | None:
    """Return what one end failed of by itself."""
    for kind, code in OWN_KINDS.items():
        for end in (run.server, run.client):
            if end.kind == kind:
                node = None if kind in _OF_BOTH else end.node
                return Finding(code, f"{run.name} failed on {end.node}: {end.words}", _own_remedy(run, end), node)
    return None


def _own_remedy(run: Run, end: End) -> str:
    nodes = f"{run.client.node} and {run.server.node}"
    role = "rdma" if run.transport == "roce" else "fabric_gate"
    remedies = {
        "missing_tool": f"install {_TOOLS[run.transport]} on {end.node} (role {role} does)",
        "memlock": f"raise the limit of locked memory on {end.node}: LimitMEMLOCK=infinity in the unit, 'ulimit -l' in "
        "a shell",
        "permission": f"run the gate as root on {end.node}, and look at 'ls -l /dev/infiniband'",
        "version_mismatch": f"install the same version of {_TOOLS[run.transport]} on {nodes}",
        "gid_mismatch": f"compare 'ibv_devinfo -v' on {nodes}; remove rdma_gid_index, so that the GIDs are looked up",
        "gid_out_of_range": f"remove rdma_gid_index of {end.node}, so that the GID is looked up ('ibv_devinfo -v')",
    }
    return remedies.get(str(end.kind)) or end.advice or f"look at 'rdma link show' and 'dmesg | tail' on {end.node}"


def _between(run: Run) -> Finding:
    """Return what came between two ends that are well by themselves."""
    client, server = run.client, run.server
    if client.kind == "connection_refused" or (client.state == "absent" and server.state in ("failed", "broken")):
        return _not_listening(run)
    for end in (server, client):
        if end.was_killed:
            return _lost(run, end)
    # A server whose module broke down in mid-run took its tool with it; its client may wait until its time is up.
    if client.kind == "peer_lost" or (server.state == "broken" and client.phase == "exchange"):
        return _lost(run, server)
    if client.kind == "timeout":
        if client.phase == "exchange":
            return _silent(run)
        return _start_timeout(run) if client.phase == "start" else _control_port_blocked(run)
    return Finding(
        "unreadable_result",
        f"{run.name} failed on {client.node}: {client.words}",
        client.advice or f"run it by hand on {client.node} and look at its output",
        client.node,
    )


def _not_listening(run: Run) -> Finding:
    server = run.server
    explanation = f"; its server says: {server.words}" if server.state in ("failed", "broken") else ""
    if server.kind == "connection_refused" or server.phase == "connect":
        remedy = (
            f"look at who holds the port ('ss -ltnp sport = :{run.control_port}' on {server.node}), run the gate again"
        )
    else:
        remedy = (
            server.advice
            or f"run {run.test} by hand on {server.node}, and look at 'nft list ruleset' for a rule that rejects"
        )
    return Finding(
        "peer_not_listening",
        f"{run.name}: nobody listens on {server.node} ({run.server_address}), control port "
        f"{run.control_port}{explanation}",
        remedy,
        server.node,
    )


def _lost(run: Run, end: End) -> Finding:
    """Return that an end vanished mid-run; what ended it is told if it is known."""
    told = end if end.state in ("failed", "broken") else run.client
    return Finding(
        "peer_lost",
        f"{run.name} broke off: {end.node} was lost; {told.node} says: {told.words}",
        f"find out what ended the tool on {end.node}: 'journalctl -k -e' (memory), 'dmesg | tail', a reset of the "
        "device; then run the gate again",
        end.node,
    )


def _control_port_blocked(run: Run) -> Finding:
    return Finding(
        "control_port_blocked",
        f"{run.way}: TCP port {run.control_port}, on which the ends of a run meet, does not answer: packets to it are "
        "dropped",
        f"open TCP port {run.control_port} for {run.link} on {run.server.node}: look for a rule that drops in "
        "'nft list ruleset', 'firewall-cmd --list-all-zones', and at role port_guard",
        run.server.node,
    )


def _start_timeout(run: Run) -> Finding:
    return Finding(
        "unreadable_result",
        f"{run.name} hung on {run.client.node} before it began: {run.client.words}",
        f"look at 'dmesg | tail' on {run.client.node}: a device that does not answer holds the tool up",
        run.client.node,
    )


def _silent(run: Run) -> Finding:
    """Return why ends that agreed on a run never ended it: packets are lost, all or only large ones, or it is slow."""
    packet = min(run.message_size_bytes, run.packet_bytes)
    passed = max((min(size, run.packet_bytes) for size in run.passed_sizes), default=None)
    if passed is None:
        return _nothing_passes(run)
    if packet > passed:
        return Finding(
            "large_packets_lost",
            f"{run.way}: messages of up to {max(run.passed_sizes)} bytes pass, those of {run.message_size_bytes} bytes "
            "never arrive: large packets are lost on the way",
            "something on the way drops large packets without a word: compare 'ip -d link' on both nodes and the MTU "
            f"of a switch between them, and look at 'nft list ruleset' and 'ethtool -S IF' on {run.client.node} and "
            f"{run.server.node}",
        )
    return _too_slow(run)


def _nothing_passes(run: Run) -> Finding:
    nodes = f"{run.client.node} and {run.server.node}"
    if run.transport == "tcp":
        return Finding(
            "peer_unreachable",
            f"{run.name}: nothing comes back from {run.server_address} within {run.timeout_s:g} s",
            f"look at 'ip neighbour' and 'nft list ruleset' on {nodes}",
        )
    return Finding(
        "rocev2_blocked",
        f"{run.way}: the ends meet on TCP port {run.control_port}, but no RDMA message of {run.message_size_bytes} "
        "bytes arrives: RoCE v2 (UDP port 4791) is dropped on the way",
        f"open UDP port 4791 for {run.link} on {nodes}: look for a drop rule in 'nft list ruleset', "
        "'firewall-cmd --list-all-zones' and on a switch between them, and run role rdma",
    )


def _too_slow(run: Run) -> Finding:
    """Return that packets of this size passed before, so the time is what was too short."""
    rate = ""
    if run.iterations and run.test in BANDWIDTH_TESTS.values():
        gbit_per_s = run.iterations * run.message_size_bytes * 8 / run.timeout_s / 1e9
        rate = f": it is slower than {gbit_per_s:.2g} Gb/s"
    return Finding(
        "bandwidth_low",
        f"{run.name} did not end within {run.timeout_s:g} s although packets of that size pass{rate}"
        + (f"; {run.slow_because}" if run.slow_because else ""),
        f"look for drops and pauses ('ethtool -S IF | grep -iE \"err|drop|pause\"') on {run.client.node} and "
        f"{run.server.node}; on a link that is meant to be this slow, raise fabric_gate_run_timeout_sec",
        about=f"{run.client.node} to {run.server.node}",
    )
