"""What two journals say together."""

import pytest

from tandem.drift.findings import Finding, beyond, observe
from tandem.drift.journal import Change, Entry
from tandem.drift.run import Outcome


def outcome(*entries, status="successful", output=""):
    return Outcome(entries=entries, status=status, output=output)


def entry(ended="ok", node="n1", task="t", **more):
    return Entry(outcome=ended, node=node, task=task, **more)


def test_no_difference_is_clean():
    seen = observe(outcome(entry(), entry("skipped")), outcome(entry(node="n2")))
    assert (seen.status, seen.findings, seen.nodes) == (0, (), ("n1", "n2"))


def test_each_change_is_a_finding_on_its_node():
    changes = (Change("a", ("-1", "+2")), Change("b"))
    seen = observe(outcome(entry("changed", role="r", changes=changes)), outcome())
    assert seen.status == 2
    assert [(found.node, found.role, found.subject) for found in seen.findings] == [("n1", "r", "a"), ("n1", "r", "b")]


def test_what_two_tasks_find_alike_is_one_finding():
    same = Change("link0", ("-1500", "+9000"))
    check = outcome(
        entry("changed", task="a", changes=(same,)),
        entry("changed", task="b", changes=(same,)),
        entry("changed", node="n2", task="b", changes=(same,)),
        entry("changed", task="c", changes=(Change("x"),)),
        entry("changed", task="d", changes=(Change("x"),)),
    )
    tasks = [(found.node, found.task) for found in observe(check, outcome()).findings]
    assert tasks == [("n1", "a"), ("n2", "b"), ("n1", "c"), ("n1", "d")]


def test_handlers_are_consequences_and_not_differences():
    check = outcome(
        entry("changed", task="Write"),
        entry("notified", task="Restart", handler=True),
        entry("unseen", task="Restart", handler=True),
        entry("changed", task="Read anew", handler=True),
    )
    seen = observe(check, outcome())
    assert [found.task for found in seen.findings] == ["Write"]
    assert seen.restarts == (("n1", "Restart"),)


def test_what_the_system_denies_is_drift():
    seen = observe(outcome(entry()), outcome(entry("failed", task="Answer", message="no"), status="failed"))
    assert seen.status == 2
    assert (seen.findings[0].source, seen.findings[0].words) == ("verify", "no")


@pytest.mark.parametrize("ended", ["failed", "unreachable"])
def test_a_check_that_fails_cannot_tell(ended):
    seen = observe(outcome(entry("changed"), entry(ended, role="r", message="why"), status="failed"), outcome())
    assert seen.status == 1
    assert seen.untold == (("n1", "r: t: why"),)
    assert len(seen.findings) == 1


def test_a_run_that_ends_without_a_word_cannot_tell():
    seen = observe(outcome(status="failed", output="noise\nERROR! no inventory\n"), outcome(entry()))
    assert seen.status == 1
    assert "no inventory" in seen.untold[0][1]


def test_what_check_mode_leaves_out_is_said_unless_the_verification_did_it():
    check = outcome(entry("unseen", role="r", task="a"), entry("unseen", role="r", task="b"))
    assert observe(check, outcome(entry(role="r", task="b"))).unseen == (("r", "a"),)


def test_a_verification_that_a_role_takes_in_whole_was_done_by_the_verification():
    check = outcome(entry("unseen", role="r", task="Verify it"), entry("unseen", role="s", task="Verify it"))
    assert observe(check, outcome(entry(role="r", task="a"), entry())).unseen == (("s", "Verify it"),)


def test_wanted_reboots_are_said():
    assert observe(outcome(entry(reboot=True), entry(reboot=True)), outcome()).reboots == ("n1",)


def test_a_repair_that_did_more_than_was_named_is_seen():
    findings = [Finding(node="n1", role="r", task="a")]
    done = [entry("changed", role="r", task="a"), entry("changed", role="r", task="b"), entry("changed", handler=True)]
    assert [more.task for more in beyond(findings, done)] == ["b"]
