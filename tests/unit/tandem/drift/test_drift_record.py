"""Since when a difference is there, and when all was clean."""

import json

import pytest

from tandem.drift import record
from tandem.drift.record import Record
from tandem.errors import TandemError


def test_a_clean_run_is_remembered_and_forgets_differences():
    before = Record(clean="1", since={"a": "2"})
    assert record.after(before, [], "3", told=True) == Record(clean="3", checked="3")


def test_a_difference_keeps_the_time_at_which_it_was_seen_first():
    after = record.after(Record(clean="1", since={"a": "2", "gone": "2"}), ["a", "b"], "3", told=True)
    assert after == Record(clean="1", checked="3", since={"a": "2", "b": "3"})


def test_a_run_that_could_not_tell_forgets_nothing_and_cleans_nothing():
    before = Record(clean="1", checked="1", since={"a": "2"})
    after = record.after(before, ["b"], "3", told=False)
    assert after == Record(clean="1", checked="1", since={"a": "2", "b": "3"})


def test_a_record_survives_a_round_trip(tmp_path):
    file = tmp_path / "new" / "record.json"
    assert record.load(file) == Record()
    record.save(file, Record(clean="1", since={"a": "2"}))
    assert record.load(file) == Record(clean="1", since={"a": "2"})
    assert [path.name for path in file.parent.iterdir()] == ["record.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 9}', json.dumps({"version": 1, "x": 1})])
def test_a_broken_record_is_an_error_that_names_it(tmp_path, text):
    file = tmp_path / "record.json"
    file.write_text(text)
    with pytest.raises(TandemError, match=r"record\.json is no record of drift"):
        record.load(file)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TandemError, match="cannot be written"):
        record.save(tmp_path / "file" / "record.json", Record())
