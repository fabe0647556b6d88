"""One screen, and a document."""

import json

from tandem.drift import report
from tandem.drift.findings import Finding, Observation
from tandem.drift.journal import Entry
from tandem.drift.record import Record
from tandem.drift.report import Report

FINDING = Finding(node="n1", role="link", task="Configure", subject="link0", diff=("-mtu 1500", "+mtu 9000"))


def made(**seen):
    empty = {"nodes": ("n1", "n2"), "findings": (), "restarts": (), "reboots": (), "unseen": (), "untold": ()}
    return Report(
        inventory="inventories/x",
        started="2026-01-02T03:04:05Z",
        took_sec=12.34,
        observation=Observation(**{**empty, **seen}),
        former=Record(clean="2026-01-01T00:00:00Z"),
        record=Record(since={FINDING.key: "2026-01-02T00:00:00Z"}),
        spent_sec={"link": 1.5},
    )


def test_a_clean_cluster_is_one_line_with_what_was_not_looked_at():
    assert report.screen(made(unseen=(("ray", "a"), ("ray", "b"), ("", "c")))) == [
        "inventories/x: clean, 2 nodes looked at in 12 s",
        "not looked at, as check mode cannot: ray (2); playbooks (1)",
    ]


def test_a_difference_is_shown_with_node_time_lines_and_consequences():
    assert report.screen(made(findings=(FINDING,), restarts=(("n1", "Restart Ray"),), reboots=("n2",))) == [
        "inventories/x: 1 difference, 2 nodes looked at in 12 s",
        "last found clean: 2026-01-01T00:00:00Z",
        "n1",
        "  link: Configure: link0  (since 2026-01-02T00:00:00Z)",
        "      -mtu 1500",
        "      +mtu 9000",
        "a repair restarts: Restart Ray (n1)",
        "a repair reboots: n2, with your consent",
    ]


def test_long_differences_are_cut_for_the_screen_and_whole_in_the_document():
    long = Finding(node="n1", role="r", task="t", diff=tuple(f"+{number}" for number in range(50)))
    shown = made(findings=(long,))
    assert "      (44 more lines)" in report.screen(shown)
    assert len(report.document(shown)["findings"][0]["diff"]) == 50


def test_what_could_not_be_told_comes_with_its_reason():
    lines = report.screen(made(untold=(("n2", "Reach the nodes: down\nfor long"),)))
    assert lines[0].startswith("inventories/x: could not tell, ")
    assert "could not tell of n2: Reach the nodes: down" in lines
    assert "  for long" in lines


def test_the_document_is_json_and_says_all():
    document = json.loads(json.dumps(report.document(made(findings=(FINDING,), untold=(("", "x"),)))))
    assert document["status"] == "could not tell"
    assert document["findings"][0]["since"] == "2026-01-02T00:00:00Z"
    assert document["last_clean"] == "2026-01-01T00:00:00Z"


def test_the_time_spent_is_summed_by_role():
    entries = [
        Entry(outcome="ok", node="n1", task="a", role="r", duration_sec=1),
        Entry(outcome="ok", node="n2", task="a", role="r", duration_sec=2),
        Entry(outcome="ok", node="n2", task="b", play="p", duration_sec=4),
        Entry(outcome="notified", node="n2", task="b"),
    ]
    assert report.spent(entries) == {"p": 4, "r": 3}
    assert "     1.50 s  link" in report.screen(made(), timings=True)
