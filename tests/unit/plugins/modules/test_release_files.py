"""A release of real files, touched in every way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import release_files

RunModule = Callable[..., dict[str, Any]]
PROGRAM = "venv/lib/program.py"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "0123"
    (root / "venv/lib").mkdir(parents=True)
    (root / PROGRAM).write_text("right = 1\n")
    (root / "venv/lib/other.py").write_text("")
    (root / "venv/link").symlink_to("lib")
    return root


@pytest.fixture
def run(run_module: RunModule, release: Path) -> RunModule:
    def call(**options: Any) -> dict[str, Any]:
        found = run_module(release_files.main, **{"path": str(release), **options})
        found.pop("invocation")
        return found

    return call


@pytest.fixture
def whole(run: RunModule, release: Path) -> Path:
    run(state="recorded")
    (release / ".complete").write_text("0123\n")
    return release


def rewritten_in_place(root: Path) -> None:
    """Other content of the same size, at the same time."""
    before = (root / PROGRAM).stat()
    (root / PROGRAM).write_text("wrong = 1\n")
    os.utime(root / PROGRAM, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_a_link(root: Path) -> None:
    (root / PROGRAM).unlink()
    (root / PROGRAM).symlink_to("other.py")


def turned_elsewhere(root: Path) -> None:
    (root / "venv/link").unlink()
    (root / "venv/link").symlink_to("/tmp")


FAULTS = {
    "same size and time": (rewritten_in_place, f"{PROGRAM}: other content"),
    "mode": (lambda root: (root / PROGRAM).chmod(0o666), f"{PROGRAM}: mode 0666, was 0644"),
    "removed": (lambda root: (root / PROGRAM).unlink(), f"{PROGRAM}: missing"),
    "added": (lambda root: (root / "venv/lib/new.py").write_text(""), "venv/lib/new.py: added"),
    "mode of a directory": (lambda root: (root / "venv/lib").chmod(0o777), "venv/lib: mode 0777, was 0755"),
    "a link for a file": (replaced_by_a_link, f"{PROGRAM}: link, was file"),
    "a link elsewhere": (turned_elsewhere, "venv/link: other content"),
    "no record": (
        lambda root: (root / ".files").unlink(),
        ".files: nothing was recorded that the files could be compared with",
    ),
    "half a record": (
        lambda root: (root / ".files").write_text('{"venv": ['),
        ".files: nothing was recorded that the files could be compared with",
    ),
    "a record of another kind": (
        lambda root: (root / ".files").write_text('{"venv": 1}'),
        ".files: nothing was recorded that the files could be compared with",
    ),
}


def test_what_was_recorded_is_whole(run: RunModule, whole: Path) -> None:
    assert run() == {"changed": False, "whole": True, "differences": []}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_touched_release_is_made_anew(run: RunModule, whole: Path, fault: str) -> None:
    change, line = FAULTS[fault]
    change(whole)

    tried = run(check_mode=True)

    assert (whole / ".complete").exists()
    assert (tried["changed"], tried["whole"], tried["differences"]) == (True, False, [line])
    assert tried["diff"]["before"] == f"{line}\n"

    assert run()["differences"] == [line]

    assert not (whole / ".complete").exists()


def test_what_does_not_change_the_program_is_no_difference(run: RunModule, whole: Path) -> None:
    os.utime(whole / PROGRAM)
    (whole / PROGRAM).replace(whole / "aside")
    (whole / "aside").replace(whole / PROGRAM)
    (whole / "venv/lib/__pycache__").mkdir()
    (whole / "venv/lib/__pycache__/program.cpython-312.pyc").write_bytes(b"compiled")

    assert run() == {"changed": False, "whole": True, "differences": []}


def test_a_release_that_is_not_there_or_not_complete_is_not_whole(run: RunModule, release: Path) -> None:
    assert run() == {"changed": False, "whole": False, "differences": []}
    assert run(path=str(release / "nothing"), check_mode=True)["whole"] is False


def test_many_differences_are_cut_short_where_they_are_shown(run: RunModule, whole: Path) -> None:
    for number in range(30):
        (whole / f"venv/lib/{number:02}.py").write_text("")

    found = run(check_mode=True)

    assert len(found["differences"]) == 30
    assert found["diff"]["before"].endswith("and 10 more\n")
