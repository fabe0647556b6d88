"""``tandem fabric``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fabric_observations import FIXTURES, SAMPLES, VALIDATOR, B, Observed

from tandem.cli import main


def write(directory: Path, found: dict[str, object]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{found['id']}.json"
    path.write_text(json.dumps(found))
    return path


def broken() -> Observed:
    seen = Observed()
    seen.port(B)["state"] = "DOWN"
    return seen


@pytest.mark.parametrize(
    ("seen", "accepted", "status"), [(Observed(), None, 0), (broken(), None, 1), (broken(), {"reason": "known"}, 0)]
)
def test_the_status_tells_whether_serving_is_allowed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    seen: Observed,
    accepted: dict[str, str] | None,
    status: int,
) -> None:
    write(tmp_path, seen.verdict(accepted=accepted))
    assert main(["fabric", "show", "--results", str(tmp_path)]) == status
    assert capsys.readouterr().out.startswith("link0, strix1 and strix2, roce: ")


def test_documents_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Observed().verdict()
    write(tmp_path, found)
    assert main(["fabric", "show", "--json", "--results", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == [found]


def test_one_bad_pair_of_several_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, Observed().verdict())
    write(tmp_path, broken().verdict() | {"id": "link1--strix1--strix2", "link": "link1"})
    assert main(["fabric", "show", "--results", str(tmp_path)]) == 1
    assert "\n\nlink1, strix1 and strix2, roce: FAIL" in capsys.readouterr().out


def test_the_newest_results_below_here_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    old = write(tmp_path / ".tandem/lab/fabric", broken().verdict())
    os.utime(old, (1, 1))
    write(tmp_path / ".tandem/strix-halo/fabric", Observed().verdict())
    assert main(["fabric", "show"]) == 0
    assert "PASS" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["show", "report"])
def test_no_results_are_an_error_that_says_how_to_get_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fabric", action]) == 2
    message = capsys.readouterr().err
    assert f"{tmp_path}/.tandem/*/fabric" in message
    assert "ansible-playbook playbooks/verify.yml" in message
    for directory in (tmp_path, tmp_path / "missing"):
        assert main(["fabric", action, "--results", str(directory)]) == 2
        message = capsys.readouterr().err
        assert str(directory) in message
        assert "ansible-playbook playbooks/verify.yml" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"),
        ('{"schema_version": 1', "is no JSON"),
        ("\udce4", "is no JSON"),
        ("[]", "found list"),
        ("{}", "found None"),
        ('{"schema_version": 2}', "found 2"),
        ('{"schema_version": 1, "id": 5}', "id, link, transport"),
    ],
)
def test_a_file_that_is_no_verdict_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    write(tmp_path, Observed().verdict())
    (tmp_path / "bad.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["fabric", "show", "--results", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert str(tmp_path / "bad.json") in message
    assert words in message


@pytest.mark.parametrize("name", ["healthy-roce.json", "pcie-gen3-x1.json", "tcp.json"])
def test_the_sample_verdicts_are_what_the_judge_says(name: str) -> None:
    assert json.loads((FIXTURES / name).read_text()) == SAMPLES[name]()


def test_there_are_samples_of_each_kind() -> None:
    assert {path.name for path in FIXTURES.glob("*.json")} == set(SAMPLES)
    found = [sample() for sample in SAMPLES.values()]
    assert [(verdict["transport"], verdict["verdict"]) for verdict in found] == [
        ("roce", "pass"),
        ("roce", "fail"),
        ("tcp", "pass"),
    ]


def test_the_schema_is_strict() -> None:
    found = Observed().verdict()
    check = found["checks"][0]
    for wrong in (
        found | {"extra": 1},
        found | {"verdict": "fail"},
        found | {"serving_allowed": False},
        found | {"schema_version": 2},
        found | {"measured_at": "yesterday"},
        found | {"id": "../x"},
        found | {"accepted_risk": {"reason": " "}},
        found | {"checks": [check | {"result": "fail"}]},
        found | {"checks": [check | {"cause": "link_down"}]},
        found | {"checks": [check | {"name": "colour"}]},
        found | {"causes": [{"code": "gremlins", "node": None, "message": "x", "remedy": "y"}]},
        {key: value for key, value in found.items() if key != "baseline"},
    ):
        assert not VALIDATOR.is_valid(wrong)
