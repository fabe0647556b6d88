"""The module with fake tools on the path: what is run, what comes back, and that nothing stays."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import rdma_perftest

RunModule = Callable[..., dict[str, Any]]
Tool = Callable[..., Path]
ROOT = Path(__file__).parents[4]
FIXTURES = ROOT / "tests" / "fixtures" / "rdma"
KEYS = {"error_kind", "phase", "remedy", "command", "returncode", "stdout", "stderr", "msg", "failed"}


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Put a tool on the path, alone there, that notes how it was called. Returns that note."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    note = tmp_path / "calls"

    def make(name: str, body: str) -> Path:
        path = directory / name
        path.write_text(f'#!/bin/sh\necho "$0 $*" >> {shlex.quote(str(note))}\n{body}\n')
        path.chmod(0o755)
        return note

    return make


def show(name: str, status: int = 0) -> str:
    out, error = (FIXTURES / f"{name}.{ending}" for ending in ("out", "err"))
    lines = [f"/bin/cat {out}" if out.exists() else ":", f"/bin/cat {error} >&2" if error.exists() else ":"]
    return "\n".join([*lines, f"exit {status}"])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], limit_s: float = 5.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def test_a_client_returns_what_it_measured(run_module: RunModule, tool: Tool) -> None:
    note = tool("ib_send_lat", show("probe/send_lat_default.client"))
    result = run_module(
        rdma_perftest.main, test="send_lat", server="192.168.100.1", device="rxe0", gid_index=1, message_size_bytes=2
    )
    command = "ib_send_lat -d rxe0 -i 1 -p 18515 -x 1 -s 2 -F 192.168.100.1"
    assert note.read_text().splitlines() == [f"{note.parent}/bin/{command}"]
    assert result["command"] == command.split()
    assert result["results"] == [
        {
            "message_size_bytes": 2,
            "iterations": 1000,
            "latency_min_usec": 131.39,
            "latency_max_usec": 14205.36,
            "latency_typical_usec": 187.40,
            "latency_avg_usec": 750.62,
            "latency_stdev_usec": 1484.60,
            "latency_p99_usec": 7900.10,
            "latency_p999_usec": 14205.36,
        }
    ]
    assert result["settings"] == {
        "device": "rxe0",
        "mtu_bytes": 4096,
        "gid_index": 1,
        "link_type": "Ethernet",
        "connection_type": "RC",
    }
    assert 0 < result["duration_s"] < 5
    assert not result["changed"]


def test_bandwidth_is_in_one_unit(run_module: RunModule, tool: Tool) -> None:
    tool("ib_write_bw", show("fail_e1000e/good_after.client"))
    (row,) = run_module(rdma_perftest.main, test="write_bw", server="192.168.100.1", device="rxe0")["results"]
    assert row == {
        "message_size_bytes": 65536,
        "iterations": 500,
        "bandwidth_peak_gbit_per_s": pytest.approx(94.88 * 8 * 1048576 / 1e9),
        "bandwidth_avg_gbit_per_s": pytest.approx(67.76 * 8 * 1048576 / 1e9),
        "message_rate_mpps": 0.001084,
    }


def test_a_server_may_have_no_results(run_module: RunModule, tool: Tool) -> None:
    tool("ib_read_lat", show("probe/read_lat.server"))
    result = run_module(rdma_perftest.main, test="read_lat", device="rxe0")
    assert result["results"] == []
    assert result["settings"]["gid_index"] == 1
    assert result["command"][-1] == "-F"


@pytest.mark.parametrize("body", ["exit 0", "echo 'tabla de resultados'", "echo '#bytes #iterations t_min[usec]'"])
def test_a_client_without_results_failed(run_module: RunModule, tool: Tool, body: str) -> None:
    tool("ib_send_lat", body)
    result = run_module(rdma_perftest.main, test="send_lat", server="10.0.0.1", device="rxe0")
    assert set(result) >= KEYS
    assert (result["error_kind"], result["returncode"]) == ("unparsable", 0)


@pytest.mark.parametrize("body", ["exit 0", "echo 'Warte auf Gegenstelle'"])
def test_a_server_that_says_nothing_failed(run_module: RunModule, tool: Tool, body: str) -> None:
    tool("ib_send_lat", body)
    result = run_module(rdma_perftest.main, test="send_lat", device="rxe0")
    assert (result["error_kind"], result["returncode"]) == ("unparsable", 0)


def test_a_failure_with_a_good_exit_status_is_known_by_its_words(run_module: RunModule, tool: Tool) -> None:
    tool("ib_send_lat", show("fail/portdown_send_lat_server_no_x", 0))
    assert run_module(rdma_perftest.main, test="send_lat", device="rxe0")["error_kind"] == "port_down"
    tool("ib_send_lat", show("fail/send_lat_conn_refused", 0))
    result = run_module(rdma_perftest.main, test="send_lat", device="rxe0", server="192.168.100.1")
    assert result["error_kind"] == "connection_refused"


def test_a_result_counts_although_the_tool_left_a_child_behind(
    run_module: RunModule, tool: Tool, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    tool("ib_send_lat", f"/bin/sleep 20 & echo $! > {pid}\n" + show("probe/send_lat_default.client"))
    result = run_module(rdma_perftest.main, test="send_lat", server="192.168.100.1", device="rxe0", timeout_s=5)
    assert len(result["results"]) == 1
    assert wait_for(lambda: not is_running(int(pid.read_text())))


@pytest.mark.parametrize(
    "body", [b"\x00\x01", b"#!/bin/sh\n/usr/bin/yes ' 64 1000 4.91' | /usr/bin/head -c 20000000\n"]
)
def test_a_tool_that_is_none_or_does_not_stop_to_talk(run_module: RunModule, tool: Tool, body: bytes) -> None:
    directory = tool("ib_send_lat", "").parent / "bin"
    (directory / "ib_send_lat").write_bytes(body)
    result = run_module(rdma_perftest.main, test="send_lat", server="192.168.100.1", device="rxe0", timeout_s=20)
    assert set(result) >= KEYS
    assert (result["error_kind"], result["returncode"]) == ("unparsable", None)


def test_a_table_of_a_failed_run_is_not_believed(run_module: RunModule, tool: Tool) -> None:
    table = r"printf ' #bytes #iterations BW peak[Gb/sec] BW average[Gb/sec] MsgRate[Mpps]\n 65536 9 0.1 0.1 0.1\n'"
    tool("ib_write_bw", f"{table}\necho ' Failed to exchange data between server and clients' >&2\nexit 1")
    result = run_module(rdma_perftest.main, test="write_bw", server="10.0.0.1", device="rxe0", duration_s=2)
    assert (result["error_kind"], result["phase"], result["returncode"]) == ("peer_lost", "exchange", 1)
    assert "65536" in result["stdout"]
    assert "exchange data" in result["stderr"]


def test_zeros_with_a_good_end_measured_nothing(run_module: RunModule, tool: Tool) -> None:
    table = r"printf ' #bytes #iterations BW peak[Gb/sec] BW average[Gb/sec] MsgRate[Mpps]\n 65536 0 0.00 0.00 0.0\n'"
    tool("ib_write_bw", table)
    result = run_module(rdma_perftest.main, test="write_bw", server="10.0.0.1", device="rxe0", duration_s=2)
    assert result["error_kind"] == "unparsable"


@pytest.mark.parametrize(
    "case",
    [
        ("fail/nodev_send_lat", None, "no_device", "lspci"),
        ("fail/send_lat_d_nosuch", None, "unknown_device", "rdma_info"),
        ("fail/portdown_send_lat_server_no_x", None, "port_down", "cable"),
        ("fail/send_lat_conn_refused", "192.168.100.1", "connection_refused", "control port 18515"),
        ("fail/gid_client_wrong_x0.client", "192.168.100.1", "gid_mismatch", "roce_v2_ipv4_gid_index"),
        ("fail/gid_empty_index.client", "192.168.100.1", "gid_out_of_range", "gids of rdma_info"),
    ],
)
def test_failures_say_what_to_do(run_module: RunModule, tool: Tool, case: tuple[str, str | None, str, str]) -> None:
    name, server, error_kind, named = case
    tool("ib_send_lat", show(name, 1))
    arguments = {"server": server} if server else {}
    result = run_module(rdma_perftest.main, test="send_lat", device="rxe0", **arguments)
    assert set(result) >= KEYS
    assert (result["error_kind"], result["returncode"]) == (error_kind, 1)
    assert named in result["msg"]
    assert result["remedy"] in result["msg"]


def test_an_index_that_no_device_has_is_a_failure_of_its_kind(run_module: RunModule, tool: Tool) -> None:
    tool("ib_send_lat", show("fail/gid_empty_index.client", 1))
    result = run_module(rdma_perftest.main, test="send_lat", device="rxe0", server="192.168.100.1", gid_index=300)
    assert result["error_kind"] == "gid_out_of_range"
    assert "300" in result["msg"]
    tool("ib_send_lat", show("fail/send_lat_i9_badport", 1))
    assert run_module(rdma_perftest.main, test="send_lat", device="rxe0", port=300)["error_kind"] == "unknown_device"


def test_a_missing_tool_is_named(run_module: RunModule, tool: Tool) -> None:
    tool("ib_send_bw", "exit 0")
    result = run_module(rdma_perftest.main, test="send_lat", device="rxe0")
    assert (result["error_kind"], result["phase"]) == ("missing_tool", "start")
    assert result["command"][0] == "ib_send_lat"


def test_parameters_that_cannot_work_run_nothing(run_module: RunModule, tool: Tool) -> None:
    note = tool("ib_send_lat", "exit 0")
    for arguments in ({"server": ""}, {"iterations": 4}, {"iterations": 10, "duration_s": 1}):
        result = run_module(rdma_perftest.main, test="send_lat", device="rxe0", **arguments)
        assert result["failed"]
    assert not note.exists()


def test_check_mode_runs_nothing(run_module: RunModule, tool: Tool) -> None:
    note = tool("ib_send_lat", "exit 0")
    result = run_module(rdma_perftest.main, test="send_lat", device="rxe0", check_mode=True)
    assert (result["results"], result["changed"]) == ([], False)
    assert result["command"][0] == "ib_send_lat"
    assert not note.exists()
    assert run_module(rdma_perftest.main, test="send_lat", device="rxe0", iterations=1, check_mode=True)["failed"]


def test_a_client_waits_for_its_server(run_module: RunModule, tool: Tool, tmp_path: Path) -> None:
    good, refused = show("probe/send_lat_default.client"), show("fail/send_lat_conn_refused", 1)
    note = tool("ib_send_lat", f"if [ -e {tmp_path}/third ]; then\n{good}\nfi")
    counting = f"if [ -e {tmp_path}/second ]; then : > {tmp_path}/third; else : > {tmp_path}/second; fi"
    tool("ib_send_lat", f"if [ -e {tmp_path}/third ]; then\n{good}\nfi\n{counting}\n{refused}")
    arguments = {"test": "send_lat", "server": "192.168.100.1", "device": "rxe0"}
    assert run_module(rdma_perftest.main, **arguments, connect_timeout_s=10)["results"]
    assert len(note.read_text().splitlines()) == 3


def test_waiting_for_a_server_ends(run_module: RunModule, tool: Tool) -> None:
    note = tool("ib_send_lat", show("fail/send_lat_conn_refused", 1))
    started = time.monotonic()
    arguments = {"test": "send_lat", "server": "192.168.100.1", "device": "rxe0"}
    result = run_module(rdma_perftest.main, **arguments, connect_timeout_s=0.7)
    assert (result["error_kind"], result["phase"]) == ("connection_refused", "connect")
    assert time.monotonic() - started < 2
    assert len(note.read_text().splitlines()) > 1


def test_waiting_for_a_server_until_the_very_end_is_still_a_refusal(run_module: RunModule, tool: Tool) -> None:
    # Tries at 0, 0.6 and, if there were one, at 1.2 s, with 0.3 s left.
    tool("ib_send_lat", "/bin/sleep 0.4\n" + show("fail/send_lat_conn_refused", 1))
    arguments = {"test": "send_lat", "server": "192.168.100.1", "device": "rxe0"}
    result = run_module(rdma_perftest.main, **arguments, timeout_s=1.5, connect_timeout_s=1.5)
    assert (result["error_kind"], result["phase"]) == ("connection_refused", "connect")


def test_other_failures_are_not_tried_again(run_module: RunModule, tool: Tool) -> None:
    note = tool("ib_send_lat", show("fail/send_lat_d_nosuch_client", 1))
    arguments = {"test": "send_lat", "server": "192.168.100.1", "device": "nosuch"}
    assert run_module(rdma_perftest.main, **arguments, connect_timeout_s=5)["error_kind"] == "unknown_device"
    assert len(note.read_text().splitlines()) == 1


#: Ignores every polite signal, with a child that does so too; both leave their number.
STUBBORN = (
    "trap '' TERM HUP INT\n(trap '' TERM HUP INT; echo $$ >> {0}; exec /bin/sleep 60) &\necho $! >> {0}\n{1}\nwait"
)


@pytest.mark.parametrize(
    ("said", "phase"),
    [
        (":", "connect"),
        ("/bin/cat " + str(FIXTURES / "fail" / "udp4791_dropped_write_bw.client.out"), "exchange"),
    ],
)
def test_a_run_that_hangs_is_ended_with_its_children(
    run_module: RunModule, tool: Tool, tmp_path: Path, said: str, phase: str
) -> None:
    pids = tmp_path / "pids"
    tool("ib_write_bw", STUBBORN.format(shlex.quote(str(pids)), said))
    started = time.monotonic()
    result = run_module(rdma_perftest.main, test="write_bw", server="192.168.100.1", device="rxe0", timeout_s=0.8)
    assert time.monotonic() - started < 3
    assert (result["error_kind"], result["phase"], result["returncode"]) == ("timeout", phase, None)
    numbers = [int(number) for number in pids.read_text().split()]
    assert len(numbers) == 2
    assert wait_for(lambda: not any(map(is_running, numbers)))


def test_the_guards_of_coreutils_are_used_and_left_out_of_the_command(
    run_module: RunModule, tool: Tool, tmp_path: Path
) -> None:
    for name in ("timeout", "stdbuf"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name, path=os.defpath))
    # stdbuf works by a preloaded library that the tool sees in its environment.
    tool("ib_send_lat", 'case "$LD_PRELOAD" in *stdbuf*) ;; *) exit 9;; esac\n' + show("probe/send_lat_default.client"))
    result = run_module(rdma_perftest.main, test="send_lat", server="10.0.0.1", device="rxe0")
    assert result["results"]
    assert result["command"][0] == "ib_send_lat"


RUN = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from plugins.modules import rdma_perftest
with patch_module_args(json.loads(sys.argv[1])):
    rdma_perftest.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_module_that_is_ended_takes_its_tool_along(tool: Tool, tmp_path: Path, number: signal.Signals) -> None:
    pids = tmp_path / "pids"
    tool("ib_send_lat", STUBBORN.format(shlex.quote(str(pids)), ":"))
    for name in ("timeout", "stdbuf"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name, path=os.defpath))
    arguments = '{"test": "send_lat", "device": "rxe0", "timeout_s": 1.5}'
    module = subprocess.Popen([sys.executable, "-c", RUN, arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        module.send_signal(number)
        module.wait(timeout=5)
    finally:
        module.kill()
    numbers = [int(word) for word in pids.read_text().split()]
    # Nobody is left to do it at once after SIGKILL: coreutils' timeout does it soon after the limit.
    assert wait_for(lambda: not any(map(is_running, numbers)), 8 if number == signal.SIGKILL else 1)
