"""What keeps a rank from serving."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fabric_observations import A, B, Observed

from tandem.fabric.blocks import refusals
from tests.repo.files import ROOT


def store(directory: Path, **changes: Any) -> Path:
    seen = Observed()
    if changes.pop("broken", False):
        seen.port(B)["state"] = "DOWN"
    found = seen.verdict(accepted=changes.pop("accepted", None)) | changes
    path = directory / f"{found['id']}.json"
    path.write_text(json.dumps(found))
    return path


def test_a_good_verdict_blocks_nothing(tmp_path: Path) -> None:
    store(tmp_path)
    assert refusals([A, B], A, tmp_path) == []
    assert refusals([A, B], B, str(tmp_path)) == []


def test_a_bad_one_is_told_with_its_file_cause_and_remedy(tmp_path: Path) -> None:
    path = store(tmp_path, broken=True)
    [words] = refusals([A, B], A, tmp_path)
    for part in (str(path), "port 1 of rocep194s0 is DOWN", "rdma link show", "verify.yml", "fabric_gate_accept_risk"):
        assert part in words


def test_an_accepted_one_serves(tmp_path: Path) -> None:
    store(tmp_path, broken=True, accepted={"reason": "known"})
    assert refusals([A, B], A, tmp_path) == []


@pytest.mark.parametrize("directory", ["", "missing"])
def test_no_verdict_blocks(tmp_path: Path, directory: str) -> None:
    [words] = refusals([A, B], A, tmp_path / directory)
    assert "between strix1 and strix2 was not measured" in words
    assert "verify.yml" in words


def test_only_the_pairs_of_this_engine_with_this_node_count(tmp_path: Path) -> None:
    store(tmp_path, broken=True)
    assert refusals([A], A, tmp_path) == []
    assert refusals([], A, tmp_path) == []
    [words] = refusals(["strix3", "strix4"], "strix3", tmp_path)
    assert "strix3 and strix4" in words


def test_every_link_between_two_nodes_counts_unless_one_is_named(tmp_path: Path) -> None:
    store(tmp_path)
    store(tmp_path, broken=True, id=f"link1--{A}--{B}", link="link1")
    assert len(refusals([A, B], A, tmp_path)) == 1
    assert refusals([A, B], A, tmp_path, link="link0") == []
    assert len(refusals([A, B], A, tmp_path, link="link1")) == 1
    [words] = refusals([A, B], A, tmp_path, link="link2")
    assert "link2--strix1--strix2.json" in words


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 2}', '{"schema_version": 1}'])
def test_a_file_that_cannot_be_relied_on_blocks(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"link0--{A}--{B}.json"
    path.write_text(text)
    [words] = refusals([A, B], B, tmp_path)
    assert str(path) in words
    assert "verify.yml" in words


def test_a_file_of_other_nodes_under_this_name_blocks(tmp_path: Path) -> None:
    path = store(tmp_path, nodes=[A, "strix9"])
    [words] = refusals([A, B], A, tmp_path)
    assert f"{path} is the verdict of strix1 and strix9" in words


def test_it_needs_the_standard_library_only() -> None:
    code = (
        "import sys; sys.path.insert(0, 'src'); import tandem.fabric.blocks; "
        "extra = {name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'tandem', '__main__'}; "
        "sys.exit(str(extra) if extra else 0)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, check=True)
