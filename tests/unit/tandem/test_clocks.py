"""Clocks that are told apart through connections of any speed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.clocks import Sample, best, chrony_problem, parse_seconds, skew_problems, unmeasured_pairs
from tandem.errors import TandemError

delays = st.floats(0, 5)
TRACKING = (
    "C0A86401,192.168.100.1,3,1795602379.943,0.000012345,-0.000002,0.000009,1.234,0.001,0.020,0.0003,0.0002,64.5,{}\n"
)


@given(offset=st.floats(-1e6, 1e6), there=delays, back=delays, start=st.floats(0, 1e5))
def test_the_true_offset_is_within_the_uncertainty(offset: float, there: float, back: float, start: float) -> None:
    """However the way there and the way back differ."""
    sample = Sample(start, start + there + offset, start + there + back)

    assert abs(sample.offset_sec - offset) <= sample.uncertainty_sec + 1e-6


@given(offsets=st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=5), data=st.data())
def test_clocks_within_the_limit_are_never_accused(offsets: list[float], data: st.DataObject) -> None:
    limit = max(offsets) - min(offsets)
    clocks = {}
    for place, offset in enumerate(offsets):
        error = data.draw(st.floats(0, 500))
        seen = offset + data.draw(st.floats(-error, error))
        clocks[f"n{place}"] = {"offset_ms": seen, "uncertainty_ms": error}

    assert skew_problems(clocks, limit + 1e-6) == []


def test_the_quickest_answer_counts() -> None:
    slow, quick = Sample(0, 7, 4), Sample(5, 8.51, 5.02)

    assert best([slow, quick]) is quick
    assert quick.offset_sec == pytest.approx(3.5)
    assert quick.uncertainty_sec == pytest.approx(0.01)


def test_the_nodes_and_their_skew_are_named() -> None:
    clocks = {
        "strix1": {"offset_ms": 1000.0, "uncertainty_ms": 10.0},
        "strix2": {"offset_ms": 1250.0, "uncertainty_ms": 20.0},
        "strix3": {"offset_ms": 1005.0, "uncertainty_ms": 2.0},
    }

    assert skew_problems(clocks, 100) == [
        "strix2 is 250 ms ahead of strix1 (measured to 30 ms)",
        "strix2 is 245 ms ahead of strix3 (measured to 22 ms)",
    ]
    assert unmeasured_pairs(clocks, 100) == []


def test_what_was_not_measured_well_enough_is_said_and_not_accused() -> None:
    clocks = {"a": {"offset_ms": 0.0, "uncertainty_ms": 300.0}, "b": {"offset_ms": 50.0, "uncertainty_ms": 1.0}}

    assert skew_problems(clocks, 100) == []
    assert unmeasured_pairs(clocks, 100) == ["a and b (50 ms apart, measured to 301 ms)"]


def test_one_node_has_nobody_to_differ_from() -> None:
    assert skew_problems({"a": {"offset_ms": 1e9, "uncertainty_ms": 0.0}}, 1) == []


@pytest.mark.parametrize("text", ["", "1795602379.%N\n", "1795602379", "date: invalid", "1.5 2.5"])
def test_an_answer_without_a_time_is_refused(text: str) -> None:
    with pytest.raises(TandemError, match="should print seconds with a fraction"):
        parse_seconds(text)


def test_the_time_is_read() -> None:
    assert parse_seconds("1795602379.943625000\n") == 1795602379.943625


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TRACKING.format("Normal"), ""),
        (TRACKING.format("Insert second"), ""),
        (TRACKING.format("Not synchronised"), "chronyd has no source (leap status: Not synchronised)"),
        ("506 Cannot talk to daemon\n", "chronyc says '506 Cannot talk to daemon'"),
        ("", "chronyc says nothing: does chronyd run?"),
    ],
)
def test_chronyd_follows_a_source(text: str, problem: str) -> None:
    assert chrony_problem(text) == problem
