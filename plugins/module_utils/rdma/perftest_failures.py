"""What a failed perftest run means: the kind of the error, how far the run had come, what to do. Pure.

The texts are those of perftest 2 to 26, libibverbs and librdmacm. The first that is found in the output decides, so
that causes stand before what follows from them ("Couldn't get context for the device" is printed last in every case).
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .perftest_request import Request

REMEDIES = {
    "missing_tool": "Install perftest on this node",
    "no_device": "Check that the card is seen (lspci) and its RDMA driver loaded, with the link in RoCE mode",
    "unknown_device": "Take the name and port of the device from rdma_info; names differ between nodes",
    "port_down": "Check cable, transceiver and that the network interface of the device is up",
    "connection_refused": "Start the server first, with the same test and control port",
    "gid_mismatch": "Use the RoCE v2 IPv4 GID on both ends (roce_v2_ipv4_gid_index of rdma_info)",
    "gid_out_of_range": "Use a GID index that is in use (gids of rdma_info)",
    "timeout": "Check address, firewall and MTU of the link on both ends",
    "peer_lost": "Look at the other end: its run was ended, or the link went away",
    "version_mismatch": "Install the same version of perftest on both ends and give both the same options",
    "memlock": "Raise the limit of locked memory (ulimit -l unlimited; LimitMEMLOCK=infinity in a systemd unit)",
    "permission": "Run as root, or let this user open /dev/infiniband",
    "unparsable": "Run the command by hand on both ends and look at its output",
}


@dataclass(frozen=True)
class Failure:
    """Why a run failed."""

    error_kind: str
    phase: str
    message: str
    remedy: str
    refused: bool = False
    """The server was not there (yet): trying again may help."""


@dataclass(frozen=True)
class Ended:
    """How a run ended. ``returncode`` is None if it was ended because its time was up."""

    returncode: int | None
    stdout: str
    stderr: str


@dataclass(frozen=True)
class _Cause:
    pattern: re.Pattern[str]
    error_kind: str
    message: str
    phase: str | None = None
    remedy: str | None = None
    refused: bool = False


def _cause(
    pattern: str,
    error_kind: str,
    message: str,
    phase: str | None = None,
    remedy: str | None = None,
    *,
    refused: bool = False,
) -> _Cause:
    return _Cause(re.compile(pattern, re.IGNORECASE), error_kind, message, phase, remedy, refused)


_CONTROL_PORT = (
    "Find who holds control port {control_port} (ss -ltnp), end it, or set another control_port on both ends"
)
_CAUSES = (
    _cause(
        # The same words without a library are a harmless warning of libibverbs about drivers of other cards.
        r"command not found|error while loading shared libraries",
        "missing_tool",
        "the tool, or a library of it, is not installed",
        "start",
    ),
    # The options of this run are unknown to the tool.
    _cause(
        r"unrecognized option|invalid option|Invalid Command or flag|Unsupported option",
        "version_mismatch",
        "this version of perftest does not know one of the options",
        "start",
    ),
    _cause(
        r"not compatible with versions older|version mismatch|different (?:perftest )?versions?"
        r"|parameters? mismatch|mismatch: local="
        r"|Couldn't parse line|Failed to exchange (?:Page Size|Cache Line Size) data|Failed to negotiate parameters",
        "version_mismatch",
        "the two ends do not understand each other",
        "exchange",
    ),
    _cause(
        r"Couldn't listen to port|Failed to bind socket|Couldn't bind|Address already in use|rdma_bind_addr failed"
        r"|rdma_listen failed",
        "connection_refused",
        "control port {control_port} is taken on this node, so nobody can connect",
        "start",
        _CONTROL_PORT,
    ),
    _cause(
        r"Did not detect devices|No IB devices found|Failed to get IB devices list",
        "no_device",
        "this node has no RDMA device",
        "start",
    ),
    _cause(
        # "deivce" is what old versions call it.
        r"IB device .* (?:wasn't |not )found|Unable to find the Infiniband/RoCE de",
        "unknown_device",
        "this node has no RDMA device {device}",
        "start",
    ),
    _cause(
        r"Port number \d+ state is|Link layer on port \d+ is Unknown",
        "port_down",
        "port {port} of {device} is not active",
        "start",
    ),
    _cause(
        r"Unable to query port|IB Port can't be less|Invalid port requested",
        "unknown_device",
        "{device} has no port {port}",
        "start",
    ),
    _cause(
        r"Gid index should be between|GID index .*(?:out of range|invalid|greater)|Failed to query gid"
        r"|Invalid gid index|Couldn't (?:query|get|read) (?:the )?(?:local )?gid",
        "gid_out_of_range",
        "there is no GID {gid_index} on {device}",
        "start",
    ),
    _cause(
        r"Incompatibility issue with GID types",
        "gid_mismatch",
        "the GIDs of the two ends are of different types, or one is empty",
    ),
    _cause(
        r"Couldn't allocate MR with error=(?:1|13)\b",
        "permission",
        "registering memory was denied",
    ),
    _cause(
        r"Couldn't allocate MR with error=(?!11\b|12\b)\d+",
        "unparsable",
        "the device refused to register memory",
        remedy="Look at dmesg for what the driver says",
    ),
    _cause(
        r"Couldn't allocate MR|failed to (?:create|register) MR|Cannot allocate memory|Couldn't lock memory|\bmlock",
        "memlock",
        "memory could not be locked for the device",
    ),
    # A warning that comes with successful runs too: it counts together with a failure only.
    _cause(
        r"RLIMIT_MEMLOCK(?s:.*)(?:Couldn't|Unable to|Failed to) (?:create|allocate)"
        r"|(?:Couldn't|Unable to|Failed to) (?:create|allocate)(?s:.*)RLIMIT_MEMLOCK",
        "memlock",
        "memory could not be locked for the device",
    ),
    _cause(
        r"Permission denied|Operation not permitted|not executable",
        "permission",
        "this user may not use the device",
        "start",
    ),
    _cause(
        r"rdma_create_event_channel failed|Failed to create RDMA CM event channel",
        "no_device",
        "this node has no RDMA connection manager",
        "start",
        "Load it (modprobe rdma_ucm), or leave out rdma_cm on both ends",
    ),
    _cause(
        r"Couldn't connect to|CM event\D*8\b|CM_EVENT_REJECTED|Connection refused",
        "connection_refused",
        "nobody listens on {server}, control port {control_port}",
        "connect",
        refused=True,
    ),
    _cause(
        r"Problem in resolving basic add?ress|name resolution|Name or service not known"
        r"|Address family for hostname|No address associated with",
        "connection_refused",
        "{server} is no address of a host",
        "connect",
        "Give the address of the other end on the link",
    ),
    _cause(
        r"ADDR_ERROR|ROUTE_ERROR|rdma_resolve_(?:addr|route) failed|CM event\D*[1367]\b|CM_EVENT_UNREACHABLE"
        r"|CM_EVENT_CONNECT_ERROR|Unable to connect \(retries",
        "timeout",
        "{server} was not reached over RDMA",
        "connect",
        "Check that the address is one of the link (on an RDMA device of both ends) and that UDP port 4791 is open",
    ),
    _cause(
        r"Failed to modify QP \S*\s*to RT[RS]|Unable to Connect the HCA",
        "gid_mismatch",
        "the device does not find a way to the other end from this GID",
    ),
    _cause(
        r"(?:Unable|Failed) to create QP|Couldn't create rdma \w+ QP",
        "unparsable",
        "the device refused a queue pair",
        remedy="Set a smaller inline_size_bytes (many cards do less than perftest's 220), or fewer queue pairs",
    ),
    _cause(
        r"Unable to set up (?:socket connection|my IB connection parameters)",
        "gid_out_of_range",
        "GID {gid_index} of {device} cannot be read",
        "start",
    ),
    # Before the completion error: that one is looked at by _completion().
    _cause(
        r"Failed to (?:exchange|sync|close connection) |Couldn't (?:read|send) (?:remote|local) address"
        r"|Couldn't (?:read|send) reports"
        r"|Unable to (?:read|write) (?:to|from) socket|Connection reset|Broken pipe|Connection timed out"
        r"|CM event\D*1[01]\b|CM_EVENT_(?:DISCONNECTED|DEVICE_REMOVAL)|client (?:read|write):|Did not get Message for",
        "peer_lost",
        "the other end went away",
    ),
    _cause(r"Couldn't get context for the device", "permission", "the device could not be opened", "start"),
)
# "Failed status 12: wr_id", 25.10 "Failed status 12: qp_num", newer "Failed status-transport retry counter exceeded
# (12): wr_id", in bidirectional tests "Poll send CQ error status=12 qp".
_COMPLETION = re.compile(r"(?:Failed status\D*|CQ error status=)(\d+)\)?:?\s*(?:wr_id|qp)", re.IGNORECASE)
_COUNTS = re.compile(r"scnt\s*=\s*(\d+)\s*,\s*ccnt\s*=\s*(\d+)", re.IGNORECASE)
_RETRIES_EXCEEDED = 12
_EMPTY_LOCAL_GID = re.compile(r"local address:.*\n\s*GID:\s*(?:0+:){15}0+\s*$", re.MULTILINE)
# The settings are printed once the control connection stands, the header of the table when both are ready.
_EXCHANGED = re.compile(r"remote address:|^\s*#\s?bytes|Connection type\s*:", re.IGNORECASE | re.MULTILINE)
_SIGNALS_FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
#: What coreutils' timeout says: it ended the program, it could not run it, it was not found.
_TIMED_OUT, _NOT_EXECUTABLE, _NOT_FOUND = 124, 126, 127
#: What is looked at of an output without end.
_LAST_CHARACTERS = 20_000


def judge(request: Request, ended: Ended) -> Failure:
    """Why a run failed that ended with another exit status than 0, or not at all."""
    exchanged = bool(_EXCHANGED.search(ended.stdout))
    cause = _from_status(ended, request, exchanged=exchanged) or _from_text(ended)
    if cause is None and ended.returncode == _TIMED_OUT:
        cause = _timeout(request, exchanged=exchanged)
    return _failure(request, cause or _unknown(ended, exchanged=exchanged), exchanged=exchanged)


def no_results(why: str) -> Failure:
    """A run that ended well and whose output says nothing."""
    return Failure("unparsable", "exchange", why, REMEDIES["unparsable"])


def judge_no_results(request: Request, ended: Ended, why: str) -> Failure:
    """A run that ended with exit status 0 and without results: what it complained of, if that is known."""
    cause = _from_text(ended)
    return (
        no_results(why) if cause is None else _failure(request, cause, exchanged=bool(_EXCHANGED.search(ended.stdout)))
    )


def _failure(request: Request, cause: _Cause, *, exchanged: bool) -> Failure:
    words = {
        "device": request.device,
        "port": request.port,
        "control_port": request.control_port,
        "server": request.server or "the client",
        "gid_index": "of this index" if request.gid_index is None else request.gid_index,
    }
    return Failure(
        error_kind=cause.error_kind,
        phase=cause.phase or ("exchange" if exchanged else "connect" if cause.error_kind == "peer_lost" else "start"),
        message=cause.message.format(**words),
        remedy=(cause.remedy or REMEDIES[cause.error_kind]).format(**words),
        refused=cause.refused,
    )


def _from_text(ended: Ended) -> _Cause | None:
    text = f"{ended.stderr[-_LAST_CHARACTERS:]}\n{ended.stdout[-_LAST_CHARACTERS:]}".replace("\r", "\n")
    return _completion(text) or _empty_gid(text) or next((c for c in _CAUSES if c.pattern.search(text)), None)


def _from_status(ended: Ended, request: Request, *, exchanged: bool) -> _Cause | None:
    if ended.returncode is None:
        return _timeout(request, exchanged=exchanged)
    if ended.returncode == _NOT_FOUND:
        return _cause("", "missing_tool", "the tool is not installed", "start")
    if ended.returncode == _NOT_EXECUTABLE:
        return _cause("", "permission", "the tool cannot be executed", "start", "Check the installation of perftest")
    return None


def _timeout(request: Request, *, exchanged: bool) -> _Cause:
    if exchanged:
        return _cause(
            "",
            "timeout",
            "the ends found each other, but no end of the measurement was seen",
            "exchange",
            "Check that UDP port 4791 is open on both ends and that full frames (MTU) pass the link",
        )
    if request.is_client:
        return _cause(
            "",
            "timeout",
            "{server} did not answer on control port {control_port}",
            "connect",
            "Check that TCP port {control_port} is open on the server and that the address answers",
        )
    return _cause(
        "",
        "timeout",
        "no client came to control port {control_port}",
        "connect",
        "Start the client while the server waits; check that TCP port {control_port} is open here",
    )


def _completion(text: str) -> _Cause | None:
    """A message that the card gave up on. Had none ever arrived, the way never was open; else it broke."""
    failed = _COMPLETION.search(text)
    if not failed:
        return None
    if int(failed[1]) == _RETRIES_EXCEEDED:
        counts = _COUNTS.search(text)
        # Latency tests count a message as complete when they send it: the first of all has 1 and 1.
        if counts and (int(counts[2]) == 0 or int(counts[1]) <= 1):
            return _cause(
                "",
                "timeout",
                "the other end acknowledged no packet at all (retries exceeded)",
                "exchange",
                "Check that UDP port 4791 is open on both ends and that full frames (MTU) pass the link",
            )
        return _cause("", "peer_lost", "the other end stopped to acknowledge packets (retries exceeded)", "exchange")
    return _cause("", "peer_lost", f"a message failed with completion status {failed[1]}", "exchange")


def _empty_gid(text: str) -> _Cause | None:
    if not _EMPTY_LOCAL_GID.search(text):
        return None
    return _cause("", "gid_out_of_range", "GID {gid_index} of {device} is empty")


def _unknown(ended: Ended, *, exchanged: bool) -> _Cause:
    """Nothing that is known was said."""
    number = _signal(ended.returncode)
    if number in _SIGNALS_FROM_OUTSIDE:
        return _cause(
            "",
            "peer_lost",
            f"this end was ended by signal {number} from outside",
            remedy="Find out who ended it; the kernel does so when memory runs out (journalctl -k)",
        )
    if exchanged and number is None and not ended.stderr.strip():
        # A killed server makes write_bw -D end so, with a row of zeros.
        return _cause("", "peer_lost", "the measurement broke off without a word")
    how = f"signal {number}" if number else f"status {ended.returncode}"
    # The output is text of others: braces in it are no places to fill in.
    words = _words(ended).replace("{", "{{").replace("}", "}}")
    return _cause("", "unparsable", f"it ended with {how} and said {words}")


def _signal(returncode: int | None) -> int | None:
    """The signal that ended the tool; a shell or coreutils' timeout in between makes it 128 more."""
    if returncode is None:
        return None
    number = -returncode if returncode < 0 else returncode - 128
    return number if 0 < number < signal.NSIG else None


def _words(ended: Ended) -> str:
    """The last lines of what it said: the last alone is often no more than "exited with Error"."""
    text = ended.stderr if re.search(r"\w", ended.stderr) else ended.stdout
    lines = [" ".join(line.split()) for line in text.splitlines() if re.search(r"\w", line)]
    return repr("; ".join(lines[-3:])[-300:]) if lines else "nothing"
