"""The probe, run for real by a Python without Ray, and its polling."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.ray import probe

SOURCE = Path(probe.__file__).read_text(encoding="utf-8")
REQUEST = {"timeout_s": 1, "wait_s": 0, "expected_nodes": [], "resources_per_node": {}}
NODE = {"address": "192.168.100.1", "alive": True, "resources": {"GPU": 1.0}}


def run_probe(port: int) -> dict[str, Any]:
    request = json.dumps(REQUEST | {"address": f"127.0.0.1:{port}"})
    run = subprocess.run(
        [sys.executable, "-I", "-", request], input=SOURCE, capture_output=True, text=True, timeout=30, check=True
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_from_standard_input_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert run_probe(port)["error"]["kind"] == "refused"


def test_from_standard_input_without_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert run_probe(server.getsockname()[1])["error"]["kind"] == "no_ray"


@pytest.mark.parametrize(
    ("answers", "wait_s", "asked"),
    [
        ([{"error": {"kind": "refused"}}, {"nodes": []}, {"nodes": [NODE]}], 60, 3),
        ([{"error": {"kind": "refused"}}], 0, 1),
        ([{"error": {"kind": "token"}}], 60, 1),
        ([{"nodes": [NODE]}], 60, 1),
    ],
)
def test_polls_until_complete_or_hopeless(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, answers: list[dict[str, Any]], wait_s: float, asked: int
) -> None:
    left = list(answers)
    monkeypatch.setattr(probe, "try_read_nodes", lambda address, timeout_s: left.pop(0))
    monkeypatch.setattr(probe, "POLL_INTERVAL_S", 0)
    probe.main(REQUEST | {"address": "x:1", "wait_s": wait_s, "expected_nodes": [NODE["address"]]})
    assert len(answers) - len(left) == asked
    assert json.loads(capsys.readouterr().out) == answers[asked - 1]
