"""What is measured, and that it ends in time."""

from __future__ import annotations

import pytest
import yaml
from fabric_observations import SETTINGS

from tandem.errors import TandemError
from tandem.fabric.settings import measurements, time_limit_s
from tests.repo.files import ROOT


@pytest.mark.parametrize("transport", ["roce", "tcp"])
def test_a_pair_takes_less_than_a_minute(transport: str) -> None:
    runs = measurements(SETTINGS, transport)
    limit = time_limit_s(runs)
    assert 2 * sum(run["timeout_s"] for run in runs) < limit < 60


def test_the_settings_of_these_tests_are_the_defaults_of_the_role() -> None:
    defaults = yaml.safe_load((ROOT / "roles/fabric_gate/defaults/main.yml").read_text())
    assert {name: defaults[f"fabric_gate_{name}"] for name in SETTINGS} == SETTINGS


def test_small_latencies_come_first() -> None:
    runs = measurements(SETTINGS, "roce")
    assert [(run["test"], run["message_size_bytes"], run["iterations"]) for run in runs] == [
        ("send_lat", 2, 1000),
        ("send_lat", 64, 1000),
        ("send_lat", 512, 1000),
        ("send_lat", 4096, 1000),
        ("write_bw", 4096, 5000),
        ("write_bw", 65536, 5000),
        ("write_bw", 1048576, 5000),
    ]
    assert {run["timeout_s"] for run in runs} == {4}


def test_sizes_are_sorted_and_told_once() -> None:
    runs = measurements(SETTINGS | {"latency_sizes_bytes": [512, 2, 512]}, "roce")
    assert [run["message_size_bytes"] for run in runs if run["test"] == "send_lat"] == [2, 512]


def test_tcp_bandwidth_is_measured_for_a_time_which_its_limit_allows() -> None:
    [run] = [run for run in measurements(SETTINGS | {"tcp_bandwidth_duration_sec": 10}, "tcp") if "duration_s" in run]
    assert run == {"test": "tcp_bw", "message_size_bytes": 131072, "duration_s": 10, "timeout_s": 14}


@pytest.mark.parametrize("ceiling", [1.0, 7.877, 10.0, 25.0, 63.0, 100.0, 400.0])
def test_a_slow_link_sends_what_fits_into_its_time(ceiling: float) -> None:
    for run in measurements(SETTINGS, "roce", ceiling):
        if run["test"] == "write_bw":
            bits = run["iterations"] * run["message_size_bytes"] * 8
            assert bits / (ceiling * 0.8e9) <= run["timeout_s"] / 2
            assert 20 <= run["iterations"] <= 5000


def test_the_ceiling_changes_nothing_where_bandwidth_is_not_judged() -> None:
    free = SETTINGS | {"roce_bandwidth_min_percent": 0}
    assert measurements(free, "roce", 1.0) == measurements(free, "roce")


def test_what_is_missing_or_wrong_is_told_by_its_name() -> None:
    without = {name: value for name, value in SETTINGS.items() if name != "run_timeout_sec"}
    with pytest.raises(TandemError, match="fabric_gate_run_timeout_sec has no value"):
        measurements(without, "tcp")
    with pytest.raises(TandemError, match="fabric_gate_tcp_latency_sizes_bytes is empty"):
        measurements(SETTINGS | {"tcp_latency_sizes_bytes": []}, "tcp")
    with pytest.raises(TandemError, match="no transport 'ib'"):
        measurements(SETTINGS, "ib")
