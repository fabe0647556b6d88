"""The subprocess edge, against real programs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.process import CommandError, CommandTimeout, ToolMissing, run_command


def wait_for_end(pid: Path) -> bool:
    """Whether the process of this number is gone, or about to."""
    stat = Path("/proc", pid.read_text().strip(), "stat")
    for _ in range(40):
        try:
            if stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


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


def test_a_timeout_tells_what_was_printed_until_then() -> None:
    with pytest.raises(CommandTimeout) as caught:
        run_command(["sh", "-c", "echo waiting; echo problem >&2; sleep 5"], timeout_s=0.3)
    assert (caught.value.stdout, caught.value.stderr) == ("waiting\n", "problem\n")


def test_what_cannot_be_collected_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a process that hangs in the kernel: one of another group keeps the pipe open here. It is ended too."""
    monkeypatch.setattr("plugins.module_utils.process.KILL_WAIT_S", 0.3)
    pid = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(CommandTimeout) as caught:
        run_command(["sh", "-c", f"echo waiting; setsid sleep 20 & echo $! > {pid}; wait"], timeout_s=0.3)
    assert time.monotonic() - started < 2
    assert caught.value.stdout == "waiting\n"
    assert wait_for_end(pid)


def test_a_program_that_survives_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill that does nothing stands for a process in the kernel."""
    monkeypatch.setattr("plugins.module_utils.process.KILL_WAIT_S", 0.1)
    monkeypatch.setattr("plugins.module_utils.process._kill", lambda *_: None)
    with pytest.raises(CommandTimeout, match=r"hangs in the kernel.*pid \d+") as caught:
        run_command(["sleep", "1.5"], timeout_s=0.2)
    assert not caught.value.gone


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("sleep 20 &", id="holds the output open"),
        pytest.param("sleep 20 >/dev/null 2>&1 &", id="silent"),
        pytest.param("setsid sleep 20 &", id="session of its own, holds the output open"),
        pytest.param("setsid sleep 20 >/dev/null 2>&1 &", id="session of its own, silent"),
    ],
)
@pytest.mark.parametrize("timeout_s", [10, 0.5])
def test_a_program_that_leaves_a_child_behind(tmp_path: Path, start: str, timeout_s: float) -> None:
    pid = tmp_path / "pid"
    script = f"echo said; {start} echo $! > {pid}; {'exit 3' if timeout_s > 1 else 'wait'}"
    started = time.monotonic()
    if timeout_s > 1:
        result = run_command(["sh", "-c", script], timeout_s=timeout_s)
        assert (result.returncode, result.stdout) == (3, "said\n")
    else:
        with pytest.raises(CommandTimeout) as caught:
            run_command(["sh", "-c", script], timeout_s=timeout_s)
        assert (caught.value.stdout, caught.value.gone) == ("said\n", True)
    assert time.monotonic() - started < 2
    assert wait_for_end(pid)


def test_a_program_that_closes_its_output_is_waited_for() -> None:
    assert run_command(["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 4"], timeout_s=5).returncode == 4
    with pytest.raises(CommandTimeout):
        run_command(["sh", "-c", "exec >&- 2>&-; sleep 20"], timeout_s=0.3)


def test_endless_output_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.module_utils.process.OUTPUT_LIMIT_BYTES", 100_000)
    with pytest.raises(CommandTimeout) as caught:
        run_command(["yes"], timeout_s=0.3)
    assert 0 < len(caught.value.stdout) <= 100_000
    with pytest.raises(CommandError, match="printed 200000 bytes"):
        run_command(["sh", "-c", "yes | head -c 200000"], timeout_s=5)


def test_much_input_and_output_at_once() -> None:
    text = "word\n" * 100_000
    assert run_command(["cat"], timeout_s=5, stdin=text).stdout == text


def test_what_is_no_program_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"\x00\x01")
    tool.chmod(0o755)
    with pytest.raises(CommandError, match="cannot be run on this node: Exec format error"):
        run_command([str(tool)], timeout_s=5)
    monkeypatch.setenv("PATH", str(tool))
    with pytest.raises(ToolMissing, match="not installed"):
        run_command(["nosuch"], timeout_s=5)


def test_signals_of_the_caller_are_left_as_they_were() -> None:
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    seen: list[int] = []
    former = signal.signal(signal.SIGHUP, lambda number, _: seen.append(number))
    try:
        assert run_command(["sh", "-c", "kill -HUP $PPID; sleep 0.2"], timeout_s=5).returncode == 0
    finally:
        signal.signal(signal.SIGHUP, former)
    assert seen == [signal.SIGHUP]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_that_ends_us_ends_the_program_first(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(SystemExit) as caught:
        run_command(["sh", "-c", f"echo $$ > {pid}; kill -TERM $PPID; sleep 20"], timeout_s=10)
    assert caught.value.code == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_signal_while_the_program_starts_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        os.kill(os.getpid(), signal.SIGTERM)
        started.append(popen(*arguments, **options))
        return started[0]

    monkeypatch.setattr("plugins.module_utils.process.subprocess.Popen", start)
    with pytest.raises(SystemExit) as caught:
        run_command(["sleep", "20"], timeout_s=10)
    assert caught.value.code == 128 + signal.SIGTERM
    assert started[0].returncode == -signal.SIGKILL


def test_a_signal_is_not_lost_where_no_program_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_arguments: Any, **_options: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise FileNotFoundError

    monkeypatch.setattr("plugins.module_utils.process.subprocess.Popen", start)
    with pytest.raises(SystemExit):
        run_command(["nosuch"], timeout_s=10)
