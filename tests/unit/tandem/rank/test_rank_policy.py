"""The decisions, as tables over a clock of our own."""

from __future__ import annotations

import signal

import pytest

from tandem.rank.config import Probe
from tandem.rank.policy import Completion, EnginePolicy, Health, State, describe_exit, parse_progress

LIMITS = Probe(interval_sec=10, timeout_sec=30, stall_timeout_sec=60, start_timeout_sec=600)
TOKEN = Completion(ok=True, detail="one token", latency_ms=40)
TIMEOUT = Completion(ok=False, detail="no answer in 30 s", latency_ms=30000)
DENIED = Completion(ok=False, detail="status 401: Unauthorized", latency_ms=2, refused=True)


class Engine:
    """A policy under a clock that ticks every second."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.policy = EnginePolicy(LIMITS, self.now)
        self.states: list[State] = []
        self.text = ""

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            verdict = self.policy.tick(self.now)
            self.states.append(verdict.state)
            self.text = verdict.text

    def sees(self, what: Completion | Health | dict[str, float]) -> None:
        if isinstance(what, Completion):
            self.policy.saw_completion(self.now, what)
        elif isinstance(what, Health):
            self.policy.saw_health(what)
        else:
            self.policy.saw_metrics(self.now, what)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def ready(engine: Engine) -> Engine:
    engine.sees(Health.OK)
    engine.run(27)
    engine.sees(TOKEN)
    engine.run(1)
    assert engine.text == "ready after 27.0 s"
    return engine


def test_the_start_tells_its_progress(engine: Engine) -> None:
    engine.sees(Health.REFUSED)
    engine.run(12)
    assert engine.text == "starting: /health not answering yet, 12 s"
    assert not engine.policy.worth_probing
    engine.sees(Health.UNAVAILABLE)
    engine.run(1)
    assert engine.text == "starting: /health answers 503, 13 s"
    engine.sees(Health.OK)
    engine.run(1)
    assert engine.text == "starting: /health answers, waiting for the first token, 14 s"
    assert engine.policy.worth_probing
    engine.sees(TIMEOUT)
    engine.run(1)
    assert engine.text == "starting: /health answers, but no token: no answer in 30 s, 15 s"
    assert set(engine.states) == {State.STARTING}


def test_health_alone_never_makes_ready_and_the_start_ends(engine: Engine) -> None:
    engine.sees(Health.OK)
    engine.run(599)
    assert set(engine.states) == {State.STARTING}
    engine.run(1)
    assert engine.states[-1] is State.FAILED
    assert engine.text.startswith("not ready after 600 s (start_timeout_sec): /health answers, waiting")


def test_a_probe_that_is_refused_for_good_is_not_repeated_for_half_an_hour(engine: Engine) -> None:
    engine.sees(Health.OK)
    for _ in range(4):
        engine.sees(DENIED)
        engine.run(1)
    assert set(engine.states) == {State.STARTING}
    engine.sees(DENIED)
    engine.run(1)
    assert engine.states[-1] is State.FAILED
    assert engine.text == "the engine refuses the probe: status 401: Unauthorized"


def test_an_idle_engine_that_answers_probes_stays_ready(ready: Engine) -> None:
    for _ in range(100):
        ready.run(10)
        ready.sees(TOKEN)
        ready.sees({"vllm:generation_tokens_total": 5.0})
    assert set(ready.states) == {State.STARTING, State.READY}


@pytest.mark.parametrize(
    "series",
    ["vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:kv_cache_usage_perc"],
)
def test_a_saturated_engine_is_never_killed(ready: Engine, series: str) -> None:
    for number in range(400):
        ready.run(10)
        ready.sees(TIMEOUT)
        ready.sees({series: float(number)})
    assert ready.states[-1] is State.READY
    assert "probe: no answer in 30 s" in ready.text


@pytest.mark.parametrize("metrics", [{"vllm:generation_tokens_total": 5.0}, {}])
def test_no_token_and_no_progress_is_a_stall(ready: Engine, metrics: dict[str, float]) -> None:
    ready.sees({"vllm:generation_tokens_total": 5.0})
    ready.sees(TIMEOUT)
    for _ in range(58):
        ready.run(1)
        ready.sees(metrics)
    assert ready.states[-1] is State.READY
    ready.run(1)
    assert ready.states[-1] is State.STALLED
    assert ready.text == "stalled: no token for 60 s (probe: no answer in 30 s)"


def test_silence_without_a_failed_probe_is_no_stall(ready: Engine) -> None:
    """One probe may be under way for longer than the stall timeout, where it is configured so."""
    ready.run(300)
    assert ready.states[-1] is State.READY


def test_the_first_look_at_the_counters_is_no_progress(ready: Engine) -> None:
    ready.sees(TIMEOUT)
    ready.run(58)
    ready.sees({"vllm:generation_tokens_total": 5.0})
    ready.run(1)
    assert ready.states[-1] is State.STALLED


def test_time_in_which_we_did_not_run_is_no_evidence(ready: Engine) -> None:
    """We were stopped for an hour: the probe under way timed out, and nothing was looked at."""
    ready.now += 3600
    ready.sees(TIMEOUT)
    ready.run(1)
    assert ready.states[-1] is State.READY
    ready.run(70)
    assert ready.states[-1] is State.STALLED


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ([Health.UNAVAILABLE], State.READY),
        ([Health.UNAVAILABLE, Health.UNAVAILABLE], State.FAILED),
        ([Health.REFUSED, Health.REFUSED], State.FAILED),
        ([Health.UNAVAILABLE, Health.REFUSED], State.FAILED),
        ([Health.UNAVAILABLE, Health.OK, Health.UNAVAILABLE], State.READY),
        # A busy interface that does not answer is no dead one.
        ([Health.SILENT] * 20, State.READY),
        ([Health.REFUSED, Health.SILENT, Health.REFUSED], State.READY),
    ],
)
def test_two_failures_of_health_in_a_row_are_death(ready: Engine, seen: list[Health], state: State) -> None:
    for health in seen:
        ready.sees(health)
    ready.run(1)
    assert ready.states[-1] is state


def test_progress_is_read_from_what_the_engine_really_prints() -> None:
    text = """# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="a } b"} 42.0
vllm:prompt_tokens_total{engine="0",model_name="m"} 1.5e+03 1700000000
vllm:iteration_tokens_total_bucket{le="1.0"} 9.0
vllm:iteration_tokens_total_count{engine="0"} 7
vllm:kv_cache_usage_perc 0.25
vllm:prompt_tokens_total{engine="1"} NaN
vllm:prompt_tokens_total{engine="2"} many
vllm:prompt_tokens_total{engine="3"}
vllm:prompt_tokens_total{engine="4
process_cpu_seconds_total 12.5

"""
    assert parse_progress(text) == {
        'vllm:generation_tokens_total{engine="0",model_name="a } b"': 42.0,
        'vllm:prompt_tokens_total{engine="0",model_name="m"': 1500.0,
        'vllm:iteration_tokens_total_count{engine="0"': 7.0,
        "vllm:kv_cache_usage_perc": 0.25,
    }


@pytest.mark.parametrize(
    ("returncode", "text"),
    [
        (0, "exit status 0"),
        (137, "exit status 137"),
        (-signal.SIGSEGV, "exit status -11, killed by SIGSEGV"),
        (-signal.SIGKILL, "exit status -9, killed by SIGKILL (out of memory? journalctl -k tells)"),
        (-99, "exit status -99, killed by signal 99"),
    ],
)
def test_an_exit_is_told_in_words(returncode: int, text: str) -> None:
    assert describe_exit(returncode) == text
