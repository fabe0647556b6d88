"""What a failed measurement over TCP/IP means: kind, how far it had come, what to do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .request import LATENCY

if TYPE_CHECKING:
    from .output import Iperf, Ping
    from .request import Request

REMEDIES = {
    "missing_tool": "Install {tool} on this node",
    "connection_refused": "Start the server first, with the same control port",
    "timeout": "Check address and firewall of the link on both ends",
    "peer_lost": "Look at the other end: its run was ended, or the link went away",
    "version_mismatch": "Install the same version of iperf3 on both ends, 3.5 or newer",
    "permission": "Run as root",
    "unparsable": "Run the command by hand on both ends and look at its output",
}
#: A share of lost echo requests up to this one says nothing about the way.
LOST_SHARE = 0.01


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
class _Cause:
    pattern: str
    error_kind: str
    phase: str | None
    message: str
    remedy: str | None = None
    refused: bool = False


_PORT_OPEN = "Check that TCP port {port} is open on the server for this link, and that the address answers"
_ROUTE = "Check the address of the server, and that this node's end of the link is up (ip -br address)"
_IPERF = (
    _Cause(
        "Connection refused",
        "connection_refused",
        "connect",
        "nobody listens on {server}, port {port}",
        refused=True,
    ),
    _Cause("server is busy", "connection_refused", "connect", "{server} measures with somebody else", refused=True),
    _Cause(
        "Connection timed out|Operation now in progress",
        "timeout",
        "connect",
        "{server} did not answer on port {port}",
        _PORT_OPEN,
    ),
    _Cause("unreachable|No route to host", "timeout", "connect", "there is no way to {server}", _ROUTE),
    _Cause(
        "Address already in use",
        "connection_refused",
        "start",
        "port {port} is taken on this node, so nobody can connect",
        "Find who holds port {port} (ss -ltnp), end it, or set another control_port on both ends",
    ),
    _Cause(
        "Cannot assign requested address",
        "connection_refused",
        "start",
        "{bind_address} is no address of this node",
        "Check that this end of the link is up (ip -br address)",
    ),
    _Cause("Permission denied|Operation not permitted", "permission", "start", "this user may not measure"),
    _Cause(
        "(?:client|server) has terminated|unexpectedly closed|reset by peer|Broken pipe|control socket has closed",
        "peer_lost",
        "exchange",
        "the other end went away",
    ),
    # The other end speaks another protocol, or no protocol at all.
    _Cause(
        "unable to (?:send|receive) (?:parameters|results|cookie|control message)|parameter exchange",
        "version_mismatch",
        None,
        "the two ends do not understand each other",
    ),
)


def judge_iperf(request: Request, report: Iperf, *, ended: bool) -> Failure:
    """Why iperf3 reported an error; ``ended``: because its time was up."""
    if ended:
        return timed_out(request, met=report.met)
    error = report.error or ""
    for cause in _IPERF:
        if re.search(cause.pattern, error, re.IGNORECASE):
            phase = cause.phase or ("exchange" if report.met else "connect")
            return _failure(request, cause.error_kind, phase, cause.message, cause.remedy, refused=cause.refused)
    phase = "exchange" if report.met else "start"
    return failure(request, "unparsable", phase, f"iperf3 said {error[:200]!r}")


def judge_ping(request: Request, answers: Ping) -> Failure | None:
    """Why the answers are no measurement, if they are none."""
    lost = answers.sent - answers.received
    if answers.received == 0:
        remedy = "Check the address, that both ends are up, and that ICMP echo of this size passes the link"
        return _failure(request, "timeout", "exchange", "{server} answered none of the echo requests", remedy)
    if lost > LOST_SHARE * answers.sent + 1:
        return failure(request, "peer_lost", "exchange", f"{lost} of {answers.sent} echo requests were not answered")
    return None


def timed_out(request: Request, *, met: bool) -> Failure:
    """The run did not end in time."""
    if met:
        remedy = "Check that full frames (MTU) pass the link in both directions"
        return _failure(
            request, "timeout", "exchange", "the ends found each other, but the measurement did not end", remedy
        )
    if request.is_client:
        return _failure(request, "timeout", "connect", "{server} did not answer on port {port}", _PORT_OPEN)
    remedy = "Start the client while the server waits; check that TCP port {port} is open here"
    return _failure(request, "timeout", "connect", "no client came to port {port}", remedy)


def failure(request: Request, error_kind: str, phase: str, message: str) -> Failure:
    """A failure with the remedy of its kind; the message may hold text of others."""
    return _failure(request, error_kind, phase, message.replace("{", "{{").replace("}", "}}"), None)


def _failure(
    request: Request, error_kind: str, phase: str, message: str, remedy: str | None, *, refused: bool = False
) -> Failure:
    words = {
        "server": request.server or "the client",
        "port": request.control_port,
        "bind_address": request.bind_address,
        "tool": "ping (iputils)" if request.test == LATENCY else "iperf3",
    }
    text = (remedy or REMEDIES[error_kind]).format(**words)
    return Failure(error_kind, phase, message.format(**words), text, refused)
