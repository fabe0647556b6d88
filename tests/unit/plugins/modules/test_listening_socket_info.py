"""Transcripts of ss, and one run against the sockets of this machine."""

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.process import CommandResult, ToolMissing
from plugins.module_utils.sockets import listening
from plugins.modules import listening_socket_info

FIXTURES = Path(__file__).parents[3] / "fixtures" / "sockets"


def answer_with(monkeypatch: pytest.MonkeyPatch, returncode: int, stdout: str, stderr: str) -> list[list[str]]:
    calls: list[list[str]] = []

    def run_command(argv: list[str], **options: Any) -> CommandResult:
        calls.append(argv)
        return CommandResult(tuple(argv), returncode, stdout, stderr)

    monkeypatch.setattr(listening, "run_command", run_command)
    return calls


@pytest.mark.parametrize("check_mode", [False, True])
def test_units_and_order(run_module: Any, monkeypatch: Any, tmp_path: Path, check_mode: bool) -> None:
    calls = answer_with(monkeypatch, 0, (FIXTURES / "ray_head_and_worker.txt").read_text(), "")
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "cgroup").write_text("0::/system.slice/tandem-ray.service\n")
    result = run_module(
        listening_socket_info.main,
        check_mode=check_mode,
        protocols=["tcp", "udp"],
        ports=[6379, 6380],
        proc_root=str(tmp_path),
    )
    assert calls == [["ss", "-H", "-l", "-n", "-t", "-u", "-p", "--cgroup"]]
    assert result["changed"] is False
    # The process of the second one ended between the two readings.
    assert [(s["port"], s["process"], s["unit"]) for s in result["sockets"]] == [
        (6379, "gcs_server", "tandem-ray.service"),
        (6380, "raylet", None),
    ]


def test_ss_fails(run_module: Any, monkeypatch: Any) -> None:
    answer_with(monkeypatch, 255, "", "Cannot open netlink socket: Permission denied\n")
    result = run_module(listening_socket_info.main)
    assert result["msg"] == "ss ended with status 255: Cannot open netlink socket: Permission denied"


def test_ss_missing(run_module: Any, monkeypatch: Any) -> None:
    def run_command(argv: list[str], **options: Any) -> CommandResult:
        raise ToolMissing("ss is not installed on this node")

    monkeypatch.setattr(listening, "run_command", run_command)
    assert run_module(listening_socket_info.main)["msg"] == "ss is not installed on this node"


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed")
def test_sockets_of_this_machine(run_module: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run_module(listening_socket_info.main, ports=[port])
    assert [(s["protocol"], s["address"], s["port"]) for s in result["sockets"]] == [("tcp", "127.0.0.1", port)]
