"""Accepted risks: which pair, for which reason, and that nobody overlooks them."""

from __future__ import annotations

from typing import Any

import pytest
from fabric_observations import A, B, Observed, pair

from tandem.fabric.report import summary_lines
from tandem.fabric.risk import accept_risk_for, check_accept_risk

REASON = "waiting for a riser until Friday"


def entry(**changes: Any) -> dict[str, Any]:
    return {"nodes": [B, A], "reason": REASON, **changes}


@pytest.mark.parametrize("nodes", [[A, B], [B, A]])
@pytest.mark.parametrize("link", [{}, {"link": "link0"}, {"link": None}])
def test_an_entry_names_a_pair(nodes: list[str], link: dict[str, Any]) -> None:
    found = entry(nodes=nodes, **link)
    assert accept_risk_for(pair(), [found]) == {"reason": REASON}
    assert check_accept_risk([found], [pair()]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": [A, "strix9"]}, r"[0] names strix1 and strix9, which is no pair; pairs: strix1 and strix2 on link0"),
        ({"link": "link9"}, "[0] names strix2 and strix1 on link9, which is no pair"),
        ({"nodes": [A, A]}, "nodes takes the names of two different nodes"),
        ({"nodes": [A]}, "nodes takes the names of two different nodes"),
        ({"nodes": "strix1"}, "nodes takes the names of two different nodes"),
        ({"nodes": None}, "nodes takes the names of two different nodes"),
        ({"reason": ""}, "[0] has no reason"),
        ({"reason": "  "}, "[0] has no reason"),
        ({"reason": None}, "[0] has no reason"),
        ({"until": "Friday"}, "[0] has until; it can have nodes, link, reason"),
    ],
)
def test_what_is_wrong_with_an_entry(changes: dict[str, Any], message: str) -> None:
    [words] = check_accept_risk([entry(**changes)], [pair()])
    assert words.startswith("fabric_gate_accept_risk[0] ")
    assert message in words
    if "until" not in changes:
        assert accept_risk_for(pair(), [entry(**changes)]) is None


def test_every_entry_is_looked_at() -> None:
    found = check_accept_risk([entry(), {}, entry(reason="")], [pair()])
    assert [words.split()[0] for words in found] == ["fabric_gate_accept_risk[1]"] * 2 + ["fabric_gate_accept_risk[2]"]


def test_without_entries_no_risk_is_accepted() -> None:
    assert accept_risk_for(pair(), []) is None
    assert check_accept_risk([], []) == []


def test_an_accepted_failure_stays_a_failure_and_every_line_says_why_it_serves() -> None:
    seen = Observed()
    seen.port(B)["state"] = "DOWN"
    found = seen.verdict(accepted=accept_risk_for(seen.pair, [entry()]))
    assert (found["verdict"], found["serving_allowed"], found["cause"]["code"]) == ("fail", True, "port_down")
    assert all(line.endswith(f"[risk accepted: {REASON}]") for line in summary_lines(found))


def test_an_entry_that_is_not_needed_any_more_is_told() -> None:
    found = Observed().verdict(accepted={"reason": REASON})
    assert found["verdict"] == "pass"
    assert "no risk needs to be accepted, remove the entry" in summary_lines(found)[-1]
