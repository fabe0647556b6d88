"""Is the engine starting, serving, stalled or dead? Decided from what was observed and when; no I/O, no clock.

The rule that matters: an engine that makes progress is never killed. A probe that times out says only that the queue
is long; a stall is a failed probe *and* no change in the engine's own counters for `stall_timeout_sec`.
"""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.rank.config import Probe

# vLLM counts prompt tokens when a prefill ends, so one long prompt moves no token counter for minutes. The use of the
# KV cache is set at every engine step and grows with each chunk of a prefill: any change of it is progress too.
PROGRESS_METRICS = frozenset(
    {
        "vllm:generation_tokens_total",
        "vllm:prompt_tokens_total",
        "vllm:iteration_tokens_total_count",
        "vllm:kv_cache_usage_perc",
    }
)
_DEAD_AFTER_HEALTH_FAILURES = 2
_GIVE_UP_AFTER_REFUSALS = 5
# Longer between two ticks than this, and it was us who did not run: that time is no evidence against the engine.
_LONGEST_TICK_SEC = 5.0


class State(StrEnum):
    """What the state file and the status line call the engine."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STALLED = "stalled"
    FAILED = "failed"
    STOPPING = "stopping"


class Health(Enum):
    """What `/health` said."""

    OK = "answers"
    UNAVAILABLE = "answers 503"
    REFUSED = "refuses connections"
    SILENT = "does not answer"


@dataclass(frozen=True)
class Completion:
    """The outcome of asking for one token. `refused`: the request was wrong, and asking again will not help."""

    ok: bool
    detail: str
    latency_ms: int
    refused: bool = False


@dataclass(frozen=True)
class Verdict:
    """What to tell the world; STALLED and FAILED mean: end this generation."""

    state: State
    text: str

    @property
    def final(self) -> bool:
        """True where the engine has to be killed."""
        return self.state in {State.STALLED, State.FAILED}


class EnginePolicy:
    """Collects observations of one engine process; `tick` says what follows from them. Times are monotonic seconds."""

    def __init__(self, limits: Probe, now: float) -> None:
        self._limits = limits
        self._started = now
        self._last_tick = now
        self._last_progress = now
        self._health = Health.SILENT
        self._health_failures = 0
        self._refusals = 0
        self._counters: Mapping[str, float] = {}
        self.last_probe: Completion | None = None
        self.ready_after_sec: float | None = None

    @property
    def ready(self) -> bool:
        """True once the engine has produced a token."""
        return self.ready_after_sec is not None

    @property
    def worth_probing(self) -> bool:
        """True where a completion has a chance: before, it would only fill the engine's log."""
        return self.ready or self._health is Health.OK

    def saw_health(self, health: Health) -> None:
        """Take in one answer of `/health`."""
        self._health = health
        down = health in {Health.UNAVAILABLE, Health.REFUSED}
        self._health_failures = self._health_failures + 1 if down and self.ready else 0

    def saw_completion(self, now: float, completion: Completion) -> None:
        """Take in the outcome of one probe."""
        self.last_probe = completion
        self._refusals = self._refusals + 1 if completion.refused else 0
        if completion.ok:
            self._last_progress = now
            if self.ready_after_sec is None:
                self.ready_after_sec = now - self._started

    def saw_metrics(self, now: float, counters: Mapping[str, float]) -> None:
        """Take in the engine's own counters."""
        if self._counters and counters and counters != self._counters:
            self._last_progress = now
        self._counters = counters or self._counters

    def tick(self, now: float) -> Verdict:
        """Say what the engine is at this moment."""
        gap = now - self._last_tick
        self._last_tick = now
        if gap > _LONGEST_TICK_SEC:
            self._started += gap
            self._last_progress += gap
        return self._running(now) if self.ready else self._starting(now)

    def _starting(self, now: float) -> Verdict:
        elapsed = now - self._started
        if self._health is not Health.OK:
            answers_503 = self._health is Health.UNAVAILABLE
            waiting_for = f"/health {self._health.value if answers_503 else 'not answering yet'}"
        elif self.last_probe is None:
            waiting_for = "/health answers, waiting for the first token"
        else:
            waiting_for = f"/health answers, but no token: {self.last_probe.detail}"
        if self._refusals >= _GIVE_UP_AFTER_REFUSALS:
            return Verdict(State.FAILED, f"the engine refuses the probe: {self._last_detail}")
        if elapsed >= self._limits.start_timeout_sec:
            return Verdict(State.FAILED, f"not ready after {elapsed:.0f} s (start_timeout_sec): {waiting_for}")
        return Verdict(State.STARTING, f"starting: {waiting_for}, {elapsed:.0f} s")

    def _running(self, now: float) -> Verdict:
        if self._health_failures >= _DEAD_AFTER_HEALTH_FAILURES:
            return Verdict(State.FAILED, f"engine dead: /health {self._health.value}")
        ready = f"ready after {self.ready_after_sec:.1f} s"
        if self.last_probe is None or self.last_probe.ok:
            return Verdict(State.READY, ready)
        silence = now - self._last_progress
        if silence >= self._limits.stall_timeout_sec:
            return Verdict(State.STALLED, f"stalled: no token for {silence:.0f} s (probe: {self._last_detail})")
        return Verdict(State.READY, f"{ready}; last progress {silence:.0f} s ago, probe: {self._last_detail}")

    @property
    def _last_detail(self) -> str:
        return self.last_probe.detail if self.last_probe is not None else "none yet"


def parse_progress(text: str) -> dict[str, float]:
    """Return the series of PROGRESS_METRICS in a Prometheus exposition; what cannot be read is left out."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        # The labels may hold blanks and braces; the value is the first word after the last brace.
        series, brace, rest = line.rpartition("}")
        if not brace:
            series, _, rest = line.partition(" ")
        if series.split("{", 1)[0] not in PROGRESS_METRICS:
            continue
        try:
            value = float(rest.split()[0])
        except (IndexError, ValueError):
            continue
        if not math.isnan(value):
            found[series] = value
    return found


def describe_exit(returncode: int) -> str:
    """Say in words how a process ended, as `subprocess` numbers it."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    hint = " (out of memory? journalctl -k tells)" if returncode == -signal.SIGKILL else ""
    return f"exit status {returncode}, killed by {name}{hint}"
