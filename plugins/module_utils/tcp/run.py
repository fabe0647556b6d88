"""Running one end of a measurement over TCP/IP."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..process import CommandError, CommandTimeout, ToolMissing
from .failures import Failure, failure, judge_iperf, judge_ping, timed_out
from .output import Bandwidth, Latency, Unparsable, latency, parse_iperf, parse_ping
from .request import DEFAULT_LATENCY_SIZE_BYTES, LATENCY, Request, check_request, client_argv, server_argv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..process import CommandResult

_RETRY_PAUSE_S = 0.2
_LEAST_TRY_S = 0.5
#: iperf3 is asked to end so long before its time is up: it then still reports how far it had come.
_REPORT_S = 0.5
_TAIL_CHARACTERS = 4000
#: What coreutils' timeout says: it ended the program.
_TIMED_OUT = 124
_SETTINGS = {"device": None, "mtu_bytes": None, "gid_index": None, "link_type": "Ethernet"}


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


@dataclass(frozen=True)
class Outcome:
    """What one end measured."""

    results: list[Latency | Bandwidth]
    settings: dict[str, Any]
    command: list[str]
    duration_s: float

    def document(self) -> dict[str, Any]:
        """As the module returns it."""
        return asdict(self)


@dataclass(frozen=True)
class Ended:
    """How a program ended. ``returncode`` is None if it had to be killed."""

    returncode: int | None
    stdout: str
    stderr: str


class RunFailed(Exception):
    """The run failed; the message says why and what to do."""

    def __init__(self, request: Request, failed: Failure, command: list[str], ended: Ended) -> None:
        """The output is kept for a person to look at."""
        end = f"client of {request.server}" if request.is_client else "server"
        super().__init__(f"{command[0]} ({end}): {failed.message}. {failed.remedy}")
        self.failure = failed
        self.command = command
        self.ended = ended

    def document(self) -> dict[str, Any]:
        """As the module returns it."""
        return {
            "error_kind": self.failure.error_kind,
            "phase": self.failure.phase,
            "remedy": self.failure.remedy,
            "command": self.command,
            "returncode": self.ended.returncode,
            "stdout": self.ended.stdout[-_TAIL_CHARACTERS:],
            "stderr": self.ended.stderr[-_TAIL_CHARACTERS:],
        }


def settings_of(request: Request) -> dict[str, Any]:
    """The same keys as rdma_perftest's, of which TCP/IP has few."""
    return {**_SETTINGS, "connection_type": "ICMP" if request.test == LATENCY else "TCP"}


def command_of(request: Request) -> list[str]:
    """The command of this end; none for the server of a latency test, since the kernel answers echo requests."""
    if request.is_client:
        return client_argv(request, request.timeout_s)
    return [] if request.test == LATENCY else server_argv(request)


def run_end(run: Runner, request: Request) -> Outcome:
    """Run one end to its end. A client tries again while the server is not there yet."""
    check_request(request)
    if not command_of(request):
        return Outcome([], settings_of(request), [], 0.0)
    started = time.monotonic()
    while True:
        left_s = request.timeout_s - (time.monotonic() - started)
        command = client_argv(request, left_s) if request.is_client else server_argv(request)
        try:
            results = _measure(run, request, command, left_s)
        except RunFailed as error:
            spent = time.monotonic() - started + _RETRY_PAUSE_S
            # A last try with hardly any time left would call it a time-out that nobody listens.
            until = min(request.connect_timeout_s, request.timeout_s - _LEAST_TRY_S)
            if not error.failure.refused or spent >= until:
                raise
        else:
            return Outcome(results, settings_of(request), command, round(time.monotonic() - started, 3))
        time.sleep(_RETRY_PAUSE_S)


def _measure(run: Runner, request: Request, command: list[str], left_s: float) -> list[Latency | Bandwidth]:
    if shutil.which(command[0]) is None:
        missing = failure(request, "missing_tool", "start", f"{command[0]} is not on the path")
        raise RunFailed(request, missing, command, Ended(None, "", ""))
    try:
        result = run([*_guard(left_s), *command], timeout_s=left_s)
    except CommandTimeout as error:
        ended = Ended(None, error.stdout, error.stderr if error.gone else f"{error.stderr}\n{error}")
    except ToolMissing as error:
        raise RunFailed(
            request, failure(request, "permission", "start", str(error)), command, Ended(126, "", "")
        ) from error
    except CommandError as error:
        said = failure(request, "unparsable", "start", str(error))
        raise RunFailed(request, said, command, Ended(None, "", "")) from error
    else:
        ended = Ended(result.returncode, result.stdout, result.stderr)
    try:
        found = _ping(request, ended) if request.test == LATENCY else _iperf(request, ended)
    except Unparsable as error:
        failed = _unparsable(request, ended, str(error))
        raise RunFailed(request, failed, command, ended) from error
    if isinstance(found, Failure):
        raise RunFailed(request, found, command, ended)
    return [found]


def _guard(left_s: float) -> list[str]:
    """What stands before the tool: it ends the tool even if this process was killed itself."""
    if shutil.which("timeout") is None:
        return []
    return ["timeout", "-k", "1", f"{max(left_s - _REPORT_S, left_s / 2):.2f}"]


def _iperf(request: Request, ended: Ended) -> Bandwidth | Failure:
    report = parse_iperf(ended.stdout)
    if report.bandwidth is None:
        return judge_iperf(request, report, ended=ended.returncode in (None, _TIMED_OUT))
    # iperf3 calls it a result that nothing of what was sent arrived.
    return report.bandwidth if report.bandwidth.bandwidth_avg_gbit_per_s else timed_out(request, met=True)


def _ping(request: Request, ended: Ended) -> Latency | Failure:
    if re.search(r"^ping: .*(?:unreachable|No route)", ended.stderr, re.MULTILINE | re.IGNORECASE):
        return failure(request, "timeout", "exchange", f"there is no way to {request.server}")
    answers = parse_ping(ended.stdout)
    size = request.message_size_bytes or DEFAULT_LATENCY_SIZE_BYTES
    return judge_ping(request, answers) or latency(size, answers.round_trips_usec)


def _unparsable(request: Request, ended: Ended, why: str) -> Failure:
    """Output that is no report: the tool was ended, does not know an option, may not run, or says something new."""
    if ended.returncode in (None, _TIMED_OUT):
        return timed_out(request, met=False)
    if re.search(r"unrecognized option|(?:invalid|unknown) (?:option|number|argument)", ended.stderr):
        return failure(
            request, "version_mismatch", "start", "this version of the tool does not know one of the options"
        )
    if re.search(r"not permitted|Permission denied|missing cap_net_raw|minimal interval", ended.stderr, re.IGNORECASE):
        return failure(request, "permission", "start", "this user may not use the tool")
    if ended.returncode < 0 or ended.returncode > 128:
        number = abs(ended.returncode) % 128
        return failure(request, "peer_lost", "exchange", f"this end was ended by signal {number} from outside")
    words = " ".join(ended.stderr.split())[-200:]
    return failure(request, "unparsable", "exchange", f"{why}; it ended with status {ended.returncode}, said {words!r}")
