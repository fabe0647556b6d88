"""What the journal keeps of Ansible's results."""

import json

import pytest

from tandem.drift import journal
from tandem.drift.journal import Change, Entry


@pytest.mark.parametrize(
    ("result", "skipped", "always", "expected"),
    [
        ({}, False, False, "ok"),
        ({"changed": True}, False, False, "changed"),
        ({"results": [{"changed": False}, {"changed": True}]}, False, False, "changed"),
        ({"false_condition": "x is defined"}, True, False, "skipped"),
        ({"false_condition": "not ansible_check_mode"}, True, False, "unseen"),
        ({"false_condition": "not ansible_check_mode"}, True, True, "unseen"),
        ({"msg": "Command would have run if not in check mode"}, True, False, "unseen"),
        ({"msg": "Command would have run if not in check mode"}, True, True, "changed"),
        ({"msg": "remote module (x) does not support check mode"}, True, False, "unseen"),
        ({"results": [{"skipped": True, "false_condition": "not ansible_check_mode"}]}, True, False, "unseen"),
        (
            {"results": [{"skipped": True, "msg": "Command would have run if not in check mode"}, {}]},
            False,
            True,
            "changed",
        ),
    ],
)
def test_how_a_task_ended(result, skipped, always, expected):
    assert journal.outcome_of(result, skipped=skipped, always_changes=always) == expected


def test_each_changed_item_of_a_loop_is_a_change_with_its_label_and_lines():
    result = {
        "changed": True,
        "results": [
            {"changed": True, "_ansible_item_label": "a", "diff": {"before": "x\ny\n", "after": "x\nz\n"}},
            {"changed": False, "_ansible_item_label": "b"},
            {"changed": True, "_ansible_item_label": "c", "diff": [{"prepared": "-1\n+2"}]},
        ],
    }
    assert journal.changes_of(result, {}, secret=False) == (Change("a", ("-y", "+z")), Change("c", ("-1", "+2")))


@pytest.mark.parametrize(
    ("result", "arguments", "subject"),
    [
        ({"dest": "/etc/a", "name": "no"}, {}, "/etc/a"),
        ({"invocation": {"module_args": {"name": "x.service"}}}, {}, "x.service"),
        ({}, {"path": "/b"}, "/b"),
        ({}, {"path": "{{ never }}"}, ""),
        ({"invocation": "hidden"}, {}, ""),
    ],
)
def test_a_change_says_what_it_is_about(result, arguments, subject):
    assert journal.changes_of({"changed": True, **result}, arguments, secret=False)[0].subject == subject


def test_a_command_says_what_it_found():
    found = {"changed": True, "msg": "non-zero return code", "stderr": "weights: 'tokenizer.json': mismatch\nmore\n"}
    assert journal.changes_of(found, {}, secret=False)[0].words == "weights: 'tokenizer.json': mismatch"
    assert journal.changes_of(found, {}, secret=True)[0].words == ""


def test_commands_that_check_mode_left_out_are_named_by_their_items():
    skipped = {"changed": False, "skipped": True, "msg": "Command would have run if not in check mode"}
    here = {**skipped, "_ansible_item_label": "adm"}
    conditional = {"skipped": True, "false_condition": "item", "_ansible_item_label": "other"}
    result = {"msg": "All items skipped", "skipped": True, "results": [here, conditional]}
    found = journal.changes_of(result, {}, secret=False)
    assert [(change.subject, change.words) for change in found] == [("adm", skipped["msg"])]


def test_nothing_of_a_secret_task_is_kept_but_that_it_changes():
    result = {"changed": True, "dest": "/x", "msg": "s3cret", "diff": {"before": "s3cret", "after": "other"}}
    assert journal.changes_of(result, {"dest": "s3cret"}, secret=True) == (Change(""),)


def test_states_that_are_no_text_are_compared_as_such():
    result = {"changed": True, "diff": {"before": {"mode": "0600"}, "after": {"mode": "0644"}}}
    assert journal.changes_of(result, {}, secret=False)[0].diff == ('- "mode": "0600"', '+ "mode": "0644"')


def test_a_long_difference_says_what_is_left_out():
    result = {"changed": True, "diff": {"before": "", "after": "line\n" * 500}}
    (change,) = journal.changes_of(result, {}, secret=False)
    assert len(change.diff) == journal.MAX_DIFF_LINES + 1
    assert change.diff[-1] == "(300 more lines)"


def test_a_failed_loop_says_what_each_item_said():
    result = {"msg": "One or more items failed", "results": [{"failed": True, "msg": "a"}, {"msg": "b"}]}
    assert journal.message_of(result) == "a"
    assert journal.message_of({"msg": " why "}) == "why"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"kernel_args_reboot_required": True}, True),
        ({"kernel_args_reboot_required": False}, False),
        ({"__x_reboot_required": True}, False),
        ({"other": True}, False),
    ],
)
def test_a_wanted_reboot_is_noted(facts, expected):
    assert journal.asks_for_reboot({"ansible_facts": facts}) is expected
    assert not journal.asks_for_reboot({})


def test_a_journal_is_read_as_it_was_written_and_a_broken_last_line_is_left_out(tmp_path):
    entry = Entry(
        outcome="changed", node="n", task="t", role="r", changes=(Change("s", ("+x",), "w"),), duration_sec=1.5
    )
    file = tmp_path / "journal"
    file.write_text(entry.line() + json.dumps({"outcome": "ok"})[:-3])
    assert journal.read(file) == [entry]
