"""Transcripts: what the probe answered, and what the module makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.process import CommandResult, CommandTimeout, ToolMissing
from plugins.module_utils.ray import cluster
from plugins.modules import ray_cluster_info

FIXTURES = Path(__file__).parents[3] / "fixtures" / "ray"
HEAD, WORKER = "192.168.100.1", "192.168.100.2"
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def token_path(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(SECRET)
    return str(path)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Record the calls of the subprocess edge; a test appends what it is to return or raise."""
    record: list[dict[str, Any]] = []

    def run_command(argv: list[str], **options: Any) -> CommandResult:
        outcome = record[0]["outcome"]
        record.append({"argv": argv, **options})
        if isinstance(outcome, Exception):
            raise outcome
        return CommandResult(tuple(argv), *outcome)

    monkeypatch.setattr(cluster, "run_command", run_command)
    return record


def answer_of(fixture: str) -> tuple[int, str, str]:
    """The output of the real probe, with a line before it as from a chatty import."""
    document = json.loads((FIXTURES / fixture).read_text())
    return 0, "a line from some library\n" + json.dumps(document) + "\n", "[W] log line\n"


def error_of(kind: str, message: str = "") -> tuple[int, str, str]:
    return 0, json.dumps({"error": {"kind": kind, "message": message}}), ""


def arguments(token_path: str | None, **more: Any) -> dict[str, Any]:
    given = {"python": "/venv/bin/python", "address": f"{HEAD}:6379", "expected_nodes": [HEAD, WORKER], **more}
    return given | ({"token_path": token_path} if token_path else {})


@pytest.mark.parametrize("check_mode", [False, True])
def test_complete_cluster(run_module: Any, calls: Any, token_path: str, check_mode: bool) -> None:
    calls.append({"outcome": answer_of("two_nodes.json")})
    result = run_module(
        ray_cluster_info.main, check_mode=check_mode, **arguments(token_path, resources_per_node={"GPU": 1}, wait_s=20)
    )
    assert result["changed"] is False
    assert result["ray_version"] == "2.60.0"
    # The worker was killed and came back: its former life is listed, but not counted.
    assert [(node["address"], node["alive"], node["is_head"]) for node in result["nodes"]] == [
        (HEAD, True, True),
        (WORKER, True, False),
        (WORKER, False, False),
    ]
    assert result["alive_count"] == 2
    assert result["totals"]["GPU"] == 2
    assert not [name for name in result["totals"] if name.startswith("node:")]
    call = calls[1]
    assert call["argv"][:3] == ["/venv/bin/python", "-I", "-"]
    assert json.loads(call["argv"][3]) == {
        "address": f"{HEAD}:6379",
        "timeout_s": 10.0,
        "wait_s": 20.0,
        "expected_nodes": [HEAD, WORKER],
        "resources_per_node": {"GPU": 1.0},
    }
    assert call["environment"]["RAY_AUTH_TOKEN_PATH"] == token_path
    assert call["timeout_s"] > 20
    assert "def read_nodes" in call["stdin"]
    assert SECRET not in repr((call, result))


@pytest.mark.parametrize(
    ("fixture", "resources", "words"),
    [
        (
            "one_node.json",
            {},
            [f"node {WORKER} has not joined Ray at {HEAD}:6379: 1 of 2 nodes alive", "systemctl status tandem-ray"],
        ),
        ("worker_dead.json", {}, [f"node {WORKER} has left", "missing too many heartbeats", "1 of 2 nodes alive"]),
        ("worker_without_gpu.json", {"GPU": 1}, [f"node {WORKER} offers GPU 0 of 1"]),
        ("one_node.json", {"GPU": 2}, [f"node {HEAD} offers GPU 1 of 2", f"node {WORKER} has not joined"]),
    ],
)
def test_shortfall(
    run_module: Any, calls: Any, token_path: str, *, fixture: str, resources: dict[str, int], words: list[str]
) -> None:
    calls.append({"outcome": answer_of(fixture)})
    result = run_module(ray_cluster_info.main, **arguments(token_path, resources_per_node=resources))
    assert result["failed"]
    for word in words:
        assert word in result["msg"]
    assert result["nodes"]

    reported = run_module(
        ray_cluster_info.main, **arguments(token_path, resources_per_node=resources, fail_on_shortfall=False)
    )
    assert not reported.get("failed")
    assert "; ".join(reported["shortfalls"]) == result["msg"]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (error_of("refused"), f"nothing listens at {HEAD}:6379"),
        (error_of("unreachable", "timed out"), f"{HEAD}:6379 cannot be reached: timed out"),
        (error_of("token", "RPC error: InvalidAuthToken"), "differs from the head's token"),
        (error_of("no_ray", "No module named 'ray'"), "/venv/bin/python cannot import Ray"),
        (error_of("rpc", "RpcError: Timed out\nwhile waiting"), "did not answer: RpcError: Timed out while waiting"),
        ((134, "", "Check failed: something\n"), "status 134 and without an answer about Ray"),
        ((0, "[]", ""), "answered [] instead of a description"),
        (CommandTimeout("python did not end within 50 s"), "accepted a connection but did not answer within 10 s"),
        (ToolMissing("/venv/bin/python is not installed on this node"), "python: /venv/bin/python is not installed"),
    ],
)
def test_unreadable(run_module: Any, calls: Any, token_path: str, outcome: Any, words: str) -> None:
    calls.append({"outcome": outcome})
    result = run_module(ray_cluster_info.main, **arguments(token_path))
    assert result["failed"]
    assert words in result["msg"]


def test_token_not_given(run_module: Any, calls: Any) -> None:
    calls.append({"outcome": error_of("token")})
    result = run_module(ray_cluster_info.main, **arguments(None))
    assert "the cluster wants one and token_path was not given" in result["msg"]
    assert "RAY_AUTH_MODE" not in calls[1]["environment"]


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), ("", "is empty")])
def test_bad_token_file(run_module: Any, calls: Any, tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    calls.append({"outcome": answer_of("one_node.json")})
    result = run_module(ray_cluster_info.main, **arguments(str(path)))
    assert result["msg"].startswith("token_path: ")
    assert words in result["msg"]
    assert len(calls) == 1, "Ray aborts with a stack trace on such a file, so it is not even asked"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"address": HEAD}, "expected host:port"), ({"resources_per_node": {"GPU": "many"}}, "amounts must be numbers")],
)
def test_bad_arguments(run_module: Any, token_path: str, wrong: dict[str, Any], words: str) -> None:
    assert words in run_module(ray_cluster_info.main, **(arguments(token_path) | wrong))["msg"]
