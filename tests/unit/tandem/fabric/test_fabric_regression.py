"""Comparison with the first run that passed."""

from __future__ import annotations

from typing import Any

import pytest
from fabric_observations import A, B, Observed, codes, results

OLD = "2026-10-01T00:00:00Z"


def former(**more: Any) -> dict[str, Any]:
    return Observed().verdict(measured_at=OLD) | more


def slower(percent: float, *, former: Any, test: str = "write_bw", **settings: Any) -> dict[str, Any]:
    """A run in which one value is worse by some percent of what it was."""
    seen = Observed()
    seen.settings.update(settings, roce_bandwidth_min_percent=0, roce_latency_typical_max_usec=0)
    if test == "write_bw":
        seen.measure(A, test, 65536, bandwidth_avg_gbit_per_s=53.87 * (1 - percent / 100))
    else:
        seen.measure(A, test, 4096, latency_typical_usec=7.84 * (1 + percent / 100))
    return seen.verdict(former=former)


def test_the_first_run_that_passes_is_the_baseline() -> None:
    found = Observed().verdict(measured_at=OLD)
    assert found["baseline"]["measured_at"] == OLD
    assert len(found["baseline"]["metrics"]) == 14
    assert {
        "client": A,
        "server": B,
        "test": "send_lat",
        "message_size_bytes": 2,
        "metric": "latency_typical_usec",
        "value": 4.91,
    } in found["baseline"]["metrics"]
    assert results(found, "regression") == []


@pytest.mark.parametrize("test", ["write_bw", "send_lat"])
@pytest.mark.parametrize(
    ("percent", "verdict"), [(-50, "pass"), (0, "pass"), (14.9, "pass"), (15.1, "warn"), (29.9, "warn"), (30.1, "fail")]
)
def test_how_much_worse_is_too_much(test: str, percent: float, verdict: str) -> None:
    found = slower(percent, former=former(), test=test)
    assert found["verdict"] == verdict
    assert codes(found) == ([] if verdict == "pass" else ["regression"])
    # Whatever came out, the next run is compared with the same.
    assert found["baseline"] == former()["baseline"]
    assert len(results(found, "regression")) == 14


def test_the_message_tells_what_was_and_what_is() -> None:
    [cause] = slower(50, former=former())["causes"]
    assert cause["message"] == (
        f"{A} to {B}: bandwidth of write_bw with 65536 bytes fell by 50 %, from 53.87 to 26.93 Gb/s, "
        f"since the baseline of {OLD}"
    )
    assert "fabric_gate_baseline_reset" in cause["remedy"]


def test_a_direction_is_told_once_with_its_worst_size() -> None:
    seen = Observed()
    for size, value in ((2, 8.0), (64, 14.0), (512, 9.0)):
        seen.measure(B, "send_lat", size, latency_typical_usec=value)
    [cause] = seen.verdict(former=former())["causes"]
    assert "64 bytes rose by 185 %" in cause["message"]


@pytest.mark.parametrize(("now", "verdict"), [(1.49, "pass"), (1.51, "fail")])
def test_half_a_microsecond_is_noise(now: float, verdict: str) -> None:
    seen = Observed()
    seen.measure(A, "send_lat", 2, latency_typical_usec=1.0)
    first = seen.verdict()
    seen.measure(A, "send_lat", 2, latency_typical_usec=now)
    assert seen.verdict(former=first)["verdict"] == verdict


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"regression_fail_percent": 0}, "warn"),
        ({"regression_warn_percent": 0}, "fail"),
        ({"regression_fail_percent": 0, "regression_warn_percent": 0}, "pass"),
    ],
)
def test_each_limit_can_be_switched_off(settings: dict[str, int], verdict: str) -> None:
    assert slower(40, former=former(), **settings)["verdict"] == verdict


def test_a_slow_decline_is_seen() -> None:
    """Each step is within the limits, but the first run that passed stays what it is compared with."""
    found = former()
    for percent in (7, 14):
        found = slower(percent, former=found)
        assert found["verdict"] == "pass"
    assert slower(21, former=found)["verdict"] == "warn"


def test_a_reset_takes_the_new_run_and_compares_nothing() -> None:
    found = slower(50, former=former(), baseline_reset=True)
    assert found["verdict"] == "pass"
    assert found["baseline"]["measured_at"] == "2026-11-24T10:00:00Z"
    assert results(found, "regression") == []


def broken() -> Observed:
    seen = Observed()
    seen.port(B)["state"] = "DOWN"
    return seen


@pytest.mark.parametrize("accepted", [None, {"reason": "known"}])
@pytest.mark.parametrize("reset", [False, True])
def test_a_run_that_failed_never_becomes_the_baseline(accepted: dict[str, str] | None, reset: bool) -> None:
    seen = broken()
    seen.settings["baseline_reset"] = reset
    assert seen.verdict(accepted=accepted)["baseline"] is None
    assert seen.verdict(accepted=accepted, former=former())["baseline"] == former()["baseline"]


def test_the_baseline_outlives_failed_runs() -> None:
    found = broken().verdict(former=former())
    assert slower(50, former=found)["verdict"] == "fail"


def test_new_sizes_join_it() -> None:
    seen = Observed()
    seen.settings["latency_sizes_bytes"] = [2]
    seen.runs = [run for run in seen.runs if run["test"] != "send_lat" or run["message_size_bytes"] == 2]
    first = seen.verdict(measured_at=OLD)
    found = Observed().verdict(former=first)
    assert len(results(found, "regression")) == 8
    assert len(found["baseline"]["metrics"]) == 14
    assert found["baseline"]["measured_at"] == OLD


def test_other_transports_and_verdicts_without_baseline_are_not_compared() -> None:
    for old in (former(transport="tcp"), former(baseline=None)):
        found = slower(50, former=old)
        assert (found["verdict"], results(found, "regression")) == ("pass", [])
        assert found["baseline"]["measured_at"] == "2026-11-24T10:00:00Z"


def test_a_fall_that_is_explained_is_not_told_again() -> None:
    seen = Observed()
    seen.ends[B]["device"]["pcie"].update(width=1, ceiling_gbit_per_s=15.75)
    for client in (A, B):
        seen.measure(client, "write_bw", 1048576, bandwidth_avg_gbit_per_s=14.0)
    found = seen.verdict(former=former())
    assert codes(found) == ["pcie_degraded"]
    assert {check["cause"] for check in found["checks"] if check["name"] == "regression"} == {None, "pcie_degraded"}
