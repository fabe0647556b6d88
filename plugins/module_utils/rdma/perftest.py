"""Running one end of a perftest run."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..process import CommandError, CommandTimeout, ToolMissing
from .perftest_failures import REMEDIES, Ended, Failure, judge, judge_no_results, no_results
from .perftest_output import Result, Settings, Unparsable, measured, parse_results, parse_settings
from .perftest_request import Request, check_request, perftest_argv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..process import CommandResult

_RETRY_PAUSE_S = 0.2
_LEAST_TRY_S = 0.5
#: How long after the limit the tool is ended if this process is not there any more to do it.
_GUARD_EXTRA_S = 2
_TAIL_CHARACTERS = 4000


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


@dataclass(frozen=True)
class Outcome:
    """What one end measured."""

    results: list[Result]
    settings: Settings
    command: list[str]
    duration_s: float

    def document(self) -> dict[str, Any]:
        """As the module returns it."""
        return asdict(self)


class RunFailed(Exception):
    """The run failed; the message says why and what to do."""

    def __init__(self, request: Request, failure: Failure, command: list[str], ended: Ended) -> None:
        """The output is kept for a person to look at."""
        end = f"client of {request.server}" if request.is_client else "server"
        super().__init__(f"{command[0]} ({end}): {failure.message}. {failure.remedy}")
        self.failure = failure
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


def run_end(run: Runner, request: Request) -> Outcome:
    """Run one end to its end. A client tries again while the server is not there yet."""
    check_request(request)
    command = perftest_argv(request)
    started = time.monotonic()
    if shutil.which(command[0]) is None:
        failure = Failure("missing_tool", "start", f"{command[0]} is not on the path", REMEDIES["missing_tool"])
        raise RunFailed(request, failure, command, Ended(None, "", ""))
    while True:
        try:
            ended = _run_once(run, command, request.timeout_s - (time.monotonic() - started))
        except CommandError as error:
            raise RunFailed(request, no_results(str(error)), command, Ended(None, "", "")) from error
        if ended.returncode == 0:
            return _outcome(request, command, ended, time.monotonic() - started)
        failure = judge(request, ended)
        spent = time.monotonic() - started + _RETRY_PAUSE_S
        # A last try with hardly any time left would call it a time-out that nobody listens.
        until = min(request.connect_timeout_s, request.timeout_s - _LEAST_TRY_S)
        if not failure.refused or not request.is_client or spent >= until:
            raise RunFailed(request, failure, command, ended)
        time.sleep(_RETRY_PAUSE_S)


def _run_once(run: Runner, command: list[str], timeout_s: float) -> Ended:
    try:
        result = run([*_guard(timeout_s), *command], timeout_s=timeout_s)
    except CommandTimeout as error:
        # A tool that cannot be killed is worth telling: it holds the device until the kernel lets go of it.
        return Ended(None, error.stdout, error.stderr if error.gone else f"{error.stderr}\n{error}")
    except ToolMissing as error:
        # Found a moment ago: not executable for us, or gone since.
        return Ended(126, "", str(error))
    return Ended(result.returncode, result.stdout, result.stderr)


def _guard(timeout_s: float) -> list[str]:
    """What stands before the tool, where it is installed.

    ``timeout`` ends the tool even if this process was killed itself. ``stdbuf`` makes the tool write line by line, so
    that a run that was broken off still tells how far it had come.
    """
    guard = []
    if shutil.which("timeout"):
        guard += ["timeout", "-s", "KILL", str(math.ceil(timeout_s) + _GUARD_EXTRA_S)]
    if shutil.which("stdbuf"):
        guard += ["stdbuf", "-oL"]
    return guard


def _outcome(request: Request, command: list[str], ended: Ended, duration_s: float) -> Outcome:
    try:
        results = [result for result in parse_results(ended.stdout, request.test) if measured(result)]
    except Unparsable as error:
        failure = no_results(f"its output is not understood: {error}")
        raise RunFailed(request, failure, command, ended) from error
    settings = parse_settings(ended.stdout)
    # A server may report nothing, but says what the ends agreed on.
    if not results and (request.is_client or settings.connection_type is None):
        failure = judge_no_results(request, ended, "it ended well, but printed no measurement")
        raise RunFailed(request, failure, command, ended)
    return Outcome(results, settings, command, round(duration_s, 3))
