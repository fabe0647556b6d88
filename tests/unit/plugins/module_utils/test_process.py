"""The subprocess edge, against real programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from plugins.module_utils.process import CommandTimeout, ToolMissing, run_command

if TYPE_CHECKING:
    from pathlib import Path


def test_output_and_exit_status_are_returned() -> None:
    result = run_command(["sh", "-c", "cat; echo problem >&2; exit 3"], timeout_s=5, stdin="text")
    assert (result.returncode, result.stdout, result.stderr) == (3, "text", "problem\n")


def test_programs_run_in_the_c_locale_with_the_given_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    result = run_command(["sh", "-c", 'echo "$LC_ALL $COLOUR"'], timeout_s=5, environment={"COLOUR": "red"})
    assert result.stdout == "C red\n"


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(ToolMissing, match="no-such-tool is not installed on this node"):
        run_command(["no-such-tool"], timeout_s=5)


def test_a_file_that_is_not_executable_is_named(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("", encoding="utf-8")
    with pytest.raises(ToolMissing, match="not executable"):
        run_command([str(tool)], timeout_s=5)


def test_a_timeout_kills_the_children_too(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    started = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"did not end within 0.3 s"):
        run_command(["sh", "-c", f"(sleep 1; touch {marker}) & wait"], timeout_s=0.3)
    assert time.monotonic() - started < 0.9
    time.sleep(1)
    assert not marker.exists()


def test_output_that_is_not_utf8_does_not_break() -> None:
    assert run_command(["printf", r"\377"], timeout_s=5).stdout == "\ufffd"
