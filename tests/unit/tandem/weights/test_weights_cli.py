"""The commands as a user types them."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.weights import cli

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Outcome:
        parser = argparse.ArgumentParser()
        cli.add_parser(parser.add_subparsers())
        parsed = parser.parse_args(["weights", *map(str, arguments)])
        status = parsed.handler(parsed)
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "model.safetensors").write_bytes(b"weights")
    return directory


def test_manifest_inside_the_directory_then_verify_then_damage(run: Run, model: Path, tmp_path: Path) -> None:
    manifest, cache = model / "model.sha256", tmp_path / "cache.json"
    assert run("manifest", model, "--out", manifest)[0] == 0
    before = manifest.read_bytes()
    assert run("manifest", model, "--out", manifest)[0] == 0
    assert manifest.read_bytes() == before, "a second run changes nothing"

    verify = ("verify", model, "--manifest", manifest, "--cache", cache)
    status, out, _ = run(*verify)
    assert (status, "verified: 1 files" in out) == (0, True)

    (model / "model.safetensors").write_bytes(b"weighty")
    status, _, err = run(*verify)
    assert status == 1
    assert "'model.safetensors': mismatch, expected " in err

    status, out, _ = run(*verify, "--json", "--full")
    document = json.loads(out)
    assert status == 1
    assert set(document) == {"ok", "files", "bytes", "hashed_bytes", "problems", "seconds"}
    assert document["ok"] is False
    assert document["problems"][0]["file"] == "model.safetensors"
    assert set(document["problems"][0]) == {"file", "kind", "expected", "found"}


def test_what_cannot_be_used_is_a_usage_error(run: Run, model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("not a manifest\n")
    assert run("verify", model, "--manifest", bad)[0] == 2
    assert run("verify", model, "--manifest", tmp_path / "none")[0] == 2
    status, _, err = run("verify", tmp_path / "nowhere", "--manifest", bad)
    assert status == 2
    assert "nowhere" in err
    assert run("manifest", tmp_path / "nowhere", "--out", tmp_path / "out")[0] == 2


def test_an_unusable_tree_writes_no_manifest(run: Run, model: Path, tmp_path: Path) -> None:
    (model / "link").symlink_to("/nowhere")
    status, _, err = run("manifest", model, "--out", tmp_path / "out")
    assert status == 1
    assert "'link' is a symbolic link to nothing" in err
    assert not (tmp_path / "out").exists()
