"""A rank does not start over a link that failed the gate, and what runs is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rank_harness import MakeUnits

PAIR = "link0--node1--node2"


def verdict(**changes: Any) -> dict[str, Any]:
    cause = {"code": "mtu_mismatch", "node": "node2", "message": "node2 has MTU 1500", "remedy": "set it to 9000"}
    return {
        "schema_version": 1,
        "id": PAIR,
        "link": "link0",
        "transport": "tcp",
        "nodes": ["node1", "node2"],
        "measured_at": "2026-11-24T10:00:00Z",
        "duration_s": 1.0,
        "time_limit_s": 30.0,
        "verdict": "fail",
        "serving_allowed": False,
        "accepted_risk": None,
        "cause": cause,
        "causes": [cause],
        "ceilings": {},
        "checks": [],
        "series": [],
        "baseline": None,
    } | changes


PASSED = {"verdict": "pass", "serving_allowed": True, "cause": None, "causes": []}


@pytest.fixture
def fabric(tmp_path: Path) -> Path:
    directory = tmp_path / "fabric"
    directory.mkdir()
    return directory


def gated(fabric: Path) -> Any:
    return lambda _, document: document.update(fabric={"directory": str(fabric), "link": "link0"})


@pytest.mark.parametrize("rank", [0, 1])
def test_a_failed_gate_refuses_the_start_with_its_cause(units: MakeUnits, fabric: Path, rank: int) -> None:
    (fabric / f"{PAIR}.json").write_text(json.dumps(verdict()))
    unit = units(2, change=gated(fabric))[rank]
    assert unit.start().wait_exit() == 78
    unit.wait_told(f"({fabric / PAIR}.json): node2 has MTU 1500. What to do: set it to 9000")
    unit.wait_told("fabric_gate_accept_risk")
    assert unit.state["state"] == "failed"
    assert not unit.engine_file.exists()


def test_a_fabric_that_nobody_measured_refuses_the_start(units: MakeUnits, fabric: Path) -> None:
    (fabric / "link1--node1--node2.json").write_text(json.dumps(verdict(**PASSED, link="link1")))
    leader, _ = units(2, change=gated(fabric))
    assert leader.start().wait_exit() == 78
    leader.wait_told("the fabric between node1 and node2 was not measured")
    leader.wait_told(f"{PAIR}.json")


def test_a_verdict_that_comes_later_does_not_end_what_runs(units: MakeUnits, fabric: Path) -> None:
    file = fabric / f"{PAIR}.json"
    file.write_text(json.dumps(verdict(**PASSED)))
    leader, follower = units(2, change=gated(fabric))
    follower.start()
    leader.start().wait_told("READY=1")
    follower.wait_state("ready")
    engine = leader.wait_engine()
    file.write_text(json.dumps(verdict()))
    leader.wait_state("ready")
    assert leader.wait_engine() == engine
    # The next generation is a new start.
    leader.signal(15)
    assert leader.wait_exit() == 0
    assert leader.start().wait_exit() == 78
    assert follower.wait_exit() == 78


def test_an_accepted_risk_lets_the_engine_start(units: MakeUnits, fabric: Path) -> None:
    accepted = verdict(serving_allowed=True, accepted_risk={"reason": "a test"})
    (fabric / f"{PAIR}.json").write_text(json.dumps(accepted))
    leader, follower = units(2, change=gated(fabric))
    follower.start()
    leader.start().wait_told("READY=1")
