"""Files of a real directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import config_files

RunModule = Callable[..., dict[str, Any]]
FILES = [
    {"path": "/etc/systemd/system/a.service.d/50.conf", "content": "[Service]\nOOMPolicy=continue\n"},
    {"path": "/etc/sysctl.d/90.conf", "content": "vm.swappiness = 10\n"},
    {"path": "/etc/old.conf", "content": None},
]


@pytest.fixture
def run(run_module: RunModule, tmp_path: Path) -> RunModule:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/old.conf").write_text("old\n")

    def call(files: list[dict[str, Any]] = FILES, **options: Any) -> dict[str, Any]:
        return run_module(config_files.main, files=files, root=str(tmp_path), **options)

    return call


def snapshot(root: Path) -> dict[Path, tuple[str, int, int]]:
    found = [path for path in root.rglob("*") if path.is_file()]
    return {path: (path.read_text(), path.stat().st_mode, path.stat().st_ino) for path in found}


def test_files_are_written_with_their_directories_and_others_removed(run: RunModule, tmp_path: Path) -> None:
    result = run()

    assert result["changed"]
    assert result["written_files"] == [str(tmp_path / file["path"].lstrip("/")) for file in FILES]
    assert (tmp_path / "etc/systemd/system/a.service.d/50.conf").read_text() == FILES[0]["content"]
    assert (tmp_path / "etc/sysctl.d/90.conf").stat().st_mode & 0o7777 == 0o644
    assert not (tmp_path / "etc/old.conf").exists()


def test_a_second_run_touches_nothing(run: RunModule, tmp_path: Path) -> None:
    run()
    before = snapshot(tmp_path)

    result = run()

    assert not result["changed"]
    assert result["written_files"] == []
    assert snapshot(tmp_path) == before


def test_check_mode_says_the_same_and_touches_nothing(run: RunModule, tmp_path: Path) -> None:
    before = snapshot(tmp_path)

    foretold = run(check_mode=True)

    assert snapshot(tmp_path) == before
    assert not (tmp_path / "etc/sysctl.d").exists()
    done = run()
    assert foretold["written_files"] == done["written_files"]
    assert foretold["diff"] == done["diff"]


def test_only_what_differs_is_written(run: RunModule, tmp_path: Path) -> None:
    run()
    path = tmp_path / "etc/sysctl.d/90.conf"
    path.write_text("vm.swappiness = 60\n")
    other = tmp_path / "etc/systemd/system/a.service.d/50.conf"
    inode = other.stat().st_ino

    result = run()

    assert result["written_files"] == [str(path)]
    assert result["diff"][0]["before"] == "vm.swappiness = 60\n"
    assert other.stat().st_ino == inode


def test_a_mode_is_drift_as_well(run: RunModule, tmp_path: Path) -> None:
    run()
    path = tmp_path / "etc/sysctl.d/90.conf"
    path.chmod(0o600)

    result = run()

    owner = f"{os.geteuid()}:{os.getegid()}"
    assert result["diff"] == [
        {
            "before_header": str(path),
            "after_header": str(path),
            "before": f"mode 0600, owner {owner}\n",
            "after": f"mode 0644, owner {owner}\n",
        }
    ]
    assert path.stat().st_mode & 0o7777 == 0o644


def test_an_owner_is_drift_as_well(run: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    group = os.getegid()
    monkeypatch.setattr(os, "getegid", lambda: group + 1)

    result = run(check_mode=True)

    assert len(result["written_files"]) == 2
    assert result["diff"][0]["after"] == f"mode 0644, owner {os.geteuid()}:{group + 1}\n"


def test_a_masked_unit_is_left_to_its_owner(run: RunModule, tmp_path: Path) -> None:
    (tmp_path / "etc/tandem.slice").symlink_to("/dev/null")

    result = run([{"path": "/etc/tandem.slice", "content": "[Slice]\n"}])

    assert result["failed"]
    assert "is no ordinary file (a mask?)" in result["msg"]
    assert (tmp_path / "etc/tandem.slice").is_symlink()


def test_a_relative_path_is_refused_before_anything_is_written(run: RunModule, tmp_path: Path) -> None:
    before = snapshot(tmp_path)

    result = run([*FILES, {"path": "etc/other", "content": ""}])

    assert result["msg"] == "files: 'etc/other' is no absolute path"
    assert snapshot(tmp_path) == before
