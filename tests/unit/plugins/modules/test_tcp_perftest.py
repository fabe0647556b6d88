"""The module with fake tools on the path: what is run, what comes back, and that nothing stays."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import tcp_perftest

RunModule = Callable[..., dict[str, Any]]
Tool = Callable[[str, str], Path]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "network"
LATENCIES = {f"latency_{name}_usec" for name in ("min", "max", "typical", "avg", "stdev", "p99", "p999")}
FAILURE = {"error_kind", "phase", "remedy", "command", "returncode", "stdout", "stderr", "msg", "failed"}
CLIENT = {"test": "tcp_bw", "server": "10.0.0.1", "duration_s": 1, "timeout_s": 3.0}


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Put a tool on the path, beside coreutils' timeout alone, that notes how it was called. Returns that note."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "timeout").symlink_to(shutil.which("timeout") or "")
    monkeypatch.setenv("PATH", str(directory))
    note = tmp_path / "calls"

    def make(name: str, body: str) -> Path:
        path = directory / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {shlex.quote(str(note))}\n{body}\n')
        path.chmod(0o755)
        return note

    return make


def report(case: str) -> str:
    return f"/bin/cat {FIXTURES / f'iperf3-{case}.json'}"


def answers(case: str) -> str:
    return f"/bin/cat {FIXTURES / f'ping-{case}.txt'}"


def test_a_client_measures_bandwidth(run_module: RunModule, tool: Tool) -> None:
    note = tool("iperf3", report("client"))
    result = run_module(tcp_perftest.main, **CLIENT, bind_address="10.0.0.2", message_size_bytes=131072)
    (call,) = note.read_text().splitlines()
    assert call.split()[:9] == ["iperf3", "-c", "10.0.0.1", "-p", "5201", "-J", "-t", "1", "-l"]
    assert call.endswith("-B 10.0.0.2")
    assert result["command"] == call.split()
    (row,) = result["results"]
    assert set(row) == {
        "message_size_bytes",
        "iterations",
        "bandwidth_peak_gbit_per_s",
        "bandwidth_avg_gbit_per_s",
        "message_rate_mpps",
    }
    assert row["bandwidth_avg_gbit_per_s"] == pytest.approx(11.048741)
    assert result["settings"] == {
        "device": None,
        "mtu_bytes": None,
        "gid_index": None,
        "link_type": "Ethernet",
        "connection_type": "TCP",
    }
    assert not result["changed"]


def test_a_server_listens_on_the_link_only(run_module: RunModule, tool: Tool) -> None:
    note = tool("iperf3", report("server"))
    result = run_module(tcp_perftest.main, test="tcp_bw", bind_address="10.0.0.1", timeout_s=3.0)
    assert note.read_text().strip() == "iperf3 -s -1 -J -p 5201 -B 10.0.0.1"
    assert len(result["results"]) == 1


def test_a_client_measures_latency(run_module: RunModule, tool: Tool) -> None:
    note = tool("ping", answers("answered"))
    result = run_module(tcp_perftest.main, test="tcp_lat", server="10.0.0.1", message_size_bytes=64, iterations=20)
    assert note.read_text().startswith("ping -n -c 20 -i 0.002 -s 64 -w ")
    (row,) = result["results"]
    assert set(row) == {"message_size_bytes", "iterations"} | LATENCIES
    assert (row["message_size_bytes"], row["iterations"]) == (64, 20)
    # Of round trips between 7 and 24 usec.
    assert 3.5 <= row["latency_min_usec"] <= row["latency_typical_usec"] <= row["latency_max_usec"] == 12
    assert result["settings"]["connection_type"] == "ICMP"


def test_the_server_of_a_latency_test_runs_nothing(run_module: RunModule, tool: Tool) -> None:
    result = run_module(tcp_perftest.main, test="tcp_lat", bind_address="10.0.0.1")
    assert (result["results"], result["command"], result["duration_s"]) == ([], [], 0.0)


def test_check_mode_runs_nothing(run_module: RunModule, tool: Tool) -> None:
    note = tool("iperf3", "exit 1")
    result = run_module(tcp_perftest.main, check_mode=True, **CLIENT)
    assert result["results"] == []
    assert result["command"][0] == "iperf3"
    assert not note.exists()


@pytest.mark.parametrize(
    "failure",
    [
        ("refused", "connection_refused", "connect", "nobody listens on 10.0.0.1, port 5201"),
        ("busy", "connection_refused", "connect", "measures with somebody else"),
        ("dropped", "timeout", "connect", "TCP port 5201 is open"),
        ("no_route", "timeout", "connect", "no way to 10.0.0.1"),
        ("server_killed", "peer_lost", "exchange", "went away"),
        ("server_ended", "peer_lost", "exchange", "went away"),
        ("stalled", "timeout", "exchange", "full frames"),
    ],
)
def test_what_a_client_fails_of(run_module: RunModule, tool: Tool, failure: tuple[str, str, str, str]) -> None:
    case, error_kind, phase, named = failure
    # The exit status says nothing: iperf3 3.12 ends with 0 after an error too, 3.17 with 1.
    tool("iperf3", f"{report(case)}; exit {len(case) % 2}")
    result = run_module(tcp_perftest.main, **CLIENT)
    assert set(result) >= FAILURE
    assert (result["error_kind"], result["phase"]) == (error_kind, phase)
    assert named in result["msg"]
    assert result["remedy"] in result["msg"]


@pytest.mark.parametrize(
    "failure",
    [
        ("port_taken", "connection_refused", "start", "ss -ltnp"),
        ("no_address", "connection_refused", "start", "10.0.0.9 is no address of this node"),
        ("client_killed", "peer_lost", "exchange", "went away"),
    ],
)
def test_what_a_server_fails_of(run_module: RunModule, tool: Tool, failure: tuple[str, str, str, str]) -> None:
    case, error_kind, phase, named = failure
    tool("iperf3", report(case))
    result = run_module(tcp_perftest.main, test="tcp_bw", bind_address="10.0.0.9", timeout_s=3.0)
    assert (result["error_kind"], result["phase"]) == (error_kind, phase)
    assert named in result["msg"]


@pytest.mark.parametrize(
    ("body", "error_kind"),
    [
        ("echo \"iperf3: unrecognized option '--connect-timeout'\" >&2; exit 1", "version_mismatch"),
        ("echo 'socket: Operation not permitted' >&2; exit 2", "permission"),
        ("echo 'ping: cannot flood; minimal interval allowed for user is 200ms' >&2; exit 2", "permission"),
        ("echo \"ping: invalid number '0.002'\" >&2; exit 1", "version_mismatch"),
        ("kill -KILL $$", "peer_lost"),
        ("echo 'que?'", "unparsable"),
        ("", "unparsable"),
    ],
)
def test_output_that_is_no_report(run_module: RunModule, tool: Tool, body: str, error_kind: str) -> None:
    tool("iperf3", body)
    assert run_module(tcp_perftest.main, **CLIENT)["error_kind"] == error_kind


def test_lost_echo_requests(run_module: RunModule, tool: Tool) -> None:
    tool("ping", f"{answers('lost')}; exit 1")
    result = run_module(tcp_perftest.main, test="tcp_lat", server="10.0.0.1")
    assert (result["error_kind"], result["phase"]) == ("timeout", "exchange")
    tool("ping", "echo '200 packets transmitted, 150 received, 25% packet loss, time 40ms'")
    result = run_module(tcp_perftest.main, test="tcp_lat", server="10.0.0.1")
    assert (result["error_kind"], result["phase"]) == ("peer_lost", "exchange")
    assert "50 of 200" in result["msg"]


def test_a_missing_tool_is_named(run_module: RunModule, tool: Tool) -> None:
    result = run_module(tcp_perftest.main, **CLIENT)
    assert (result["error_kind"], result["phase"]) == ("missing_tool", "start")
    assert "Install iperf3" in result["msg"]
    result = run_module(tcp_perftest.main, test="tcp_lat", server="10.0.0.1")
    assert "iputils" in result["msg"]


def test_a_client_waits_for_the_server(run_module: RunModule, tool: Tool, tmp_path: Path) -> None:
    flag = tmp_path / "tried"
    note = tool("iperf3", f"if [ -e {flag} ]; then {report('client')}; else : > {flag}; {report('refused')}; fi")
    result = run_module(tcp_perftest.main, **CLIENT, connect_timeout_s=2.0)
    assert len(result["results"]) == 1
    assert len(note.read_text().splitlines()) == 2


def test_a_client_does_not_wait_for_ever(run_module: RunModule, tool: Tool) -> None:
    note = tool("iperf3", report("refused"))
    started = time.monotonic()
    result = run_module(tcp_perftest.main, **CLIENT, connect_timeout_s=0.9)
    assert time.monotonic() - started < 2
    assert result["error_kind"] == "connection_refused"
    assert 2 <= len(note.read_text().splitlines()) <= 5


@pytest.mark.parametrize("end", [{"server": "10.0.0.1", "duration_s": 1}, {"bind_address": "10.0.0.1"}])
@pytest.mark.parametrize("stubborn", [False, True])
def test_a_run_that_hangs_is_ended_with_all_its_children(
    run_module: RunModule, tool: Tool, tmp_path: Path, end: dict[str, Any], stubborn: bool
) -> None:
    pid = tmp_path / "pid"
    trap = "trap '' TERM" if stubborn else ":"
    tool("iperf3", f"{trap}\n/bin/sleep 60 & echo $! > {pid}\nwait $!; wait $!")
    started = time.monotonic()
    result = run_module(tcp_perftest.main, test="tcp_bw", timeout_s=2.6, **end)
    assert time.monotonic() - started < 6
    assert (result["error_kind"], result["phase"]) == ("timeout", "connect")
    child = Path(f"/proc/{pid.read_text().strip()}/stat")
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and child.exists() and child.read_text().split()[2] != "Z":
        time.sleep(0.05)
    assert not child.exists() or child.read_text().split()[2] == "Z"


def test_parameters_that_cannot_work_run_nothing(run_module: RunModule, tool: Tool) -> None:
    note = tool("iperf3", report("client"))
    result = run_module(tcp_perftest.main, test="tcp_bw", server="")
    assert "server" in result["msg"]
    assert "error_kind" not in result
    assert not note.exists()


@pytest.mark.skipif(not (shutil.which("iperf3") and shutil.which("ping")), reason="needs iperf3 and ping")
def test_the_real_tools_over_loopback(run_module: RunModule) -> None:
    """Both ends in one process: the server in a child of this one."""
    port = 20000 + os.getpid() % 10000
    child = os.fork()
    if child == 0:
        os.execvp("iperf3", f"iperf3 -s -1 -B 127.0.0.1 -p {port}".split())
    try:
        result = run_module(
            tcp_perftest.main,
            test="tcp_bw",
            server="127.0.0.1",
            control_port=port,
            duration_s=1,
            timeout_s=8.0,
            connect_timeout_s=3.0,
        )
    finally:
        os.waitpid(child, 0)
    assert result["results"][0]["bandwidth_avg_gbit_per_s"] > 0
    assert os.geteuid() != 0 or run_module(tcp_perftest.main, test="tcp_lat", server="127.0.0.1")["results"]
