"""The module against a real HTTP server that answers like vLLM, or badly."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import vllm_endpoint_info

KEY = "sk-0123456789abcdef"
COMPLETION = {
    "object": "text_completion",
    "model": "smollm2",
    "choices": [{"index": 0, "text": " Paris", "finish_reason": "length", "logprobs": None}],
    "usage": {"prompt_tokens": 5, "total_tokens": 6, "completion_tokens": 1},
}
GOOD: dict[str, tuple[int, Any]] = {
    "/health": (200, b""),
    "/version": (200, {"version": "0.32.0"}),
    "/v1/models": (200, {"object": "list", "data": [{"id": "smollm2", "object": "model"}]}),
    "/v1/completions": (200, COMPLETION),
}
HANG = (0, None)
BREAK = (-1, None)


class Server(ThreadingHTTPServer):
    """Answers from a table; 0 hangs, -1 breaks the connection. Keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.table = dict(GOOD)
        self.key: str | None = None
        self.questions: list[tuple[str, Any]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, document: Any) -> None:
        self.server.questions.append((self.path, document))
        status, body = self.server.table.get(self.path, (404, {"detail": "Not Found"}))
        key = self.server.key
        if key and self.path.startswith("/v1") and self.headers.get("Authorization") != f"Bearer {key}":
            status, body = 401, {"error": "Unauthorized"}
        if (status, body) == HANG:
            self.server.released.wait(20)
            return
        if (status, body) == BREAK:
            self.connection.close()
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("check_mode", [False, True])
def test_ready(run_module: Any, server: Server, check_mode: bool) -> None:
    result = run_module(vllm_endpoint_info.main, check_mode=check_mode, url=server.url, model="smollm2")
    assert result["ready"] is True
    assert result["changed"] is False
    assert result["reason"] == ""
    assert result["healthy"] is True
    assert result["health"]["status"] == 200
    assert 0 < result["health"]["latency_ms"] < 5000
    assert result["models"] == ["smollm2"]
    assert result["version"] == "0.32.0"
    completion = result["completion"]
    assert 0 < completion.pop("latency_ms") < 5000
    assert completion == {"ok": True, "text": " Paris", "tokens": 1, "finish_reason": "length"}
    assert server.questions[-1] == (
        "/v1/completions",
        {"model": "smollm2", "prompt": "The capital of France is", "max_tokens": 1, "temperature": 0},
    )


ANSWERS: dict[str, tuple[dict[str, Any], bool, str]] = {
    "health 503": (
        {"/health": (503, b""), "/v1/completions": (500, {"error": {"message": "EngineDeadError"}})},
        False,
        "health: 503, the engine is not able to serve",
    ),
    "completion 500": (
        {"/v1/completions": (500, {"error": {"message": "EngineCore died", "code": 500}})},
        True,
        "completion: status 500: EngineCore died",
    ),
    "health 200 while the completion hangs": ({"/v1/completions": HANG}, True, "completion: no answer within 0.5 s"),
    "health hangs": ({"/health": HANG}, False, "health: no answer within 0.5 s"),
    "connection broken": ({"/v1/completions": BREAK}, True, "completion: connection broken"),
    "empty completion": (
        {
            "/v1/completions": (
                200,
                COMPLETION | {"choices": [{"text": "", "finish_reason": "abort"}], "usage": {"completion_tokens": 0}},
            )
        },
        True,
        "completion: 200 but no token was generated (finish reason abort)",
    ),
    "no choices": ({"/v1/completions": (200, {"choices": []})}, True, "completion: 200 but not a completion"),
    "completion is not JSON": (
        {"/v1/completions": (200, b"<html>proxy</html>")},
        True,
        "completion: 200 but not a completion: '<html>proxy</html>'",
    ),
    "models are not JSON": ({"/v1/models": (200, b"{")}, True, "models: 200 but not a list of models"),
    "other model": (
        {"/v1/models": (200, {"data": [{"id": "llama"}, {"id": "qwen"}]})},
        True,
        "model smollm2 is not served; served: llama, qwen",
    ),
    "not vLLM": ({"/health": (404, b""), "/v1/models": (404, b"nothing here")}, False, "health: status 404"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_not_ready(run_module: Any, server: Server, name: str) -> None:
    table, healthy, reason = ANSWERS[name]
    server.table |= table
    result = run_module(vllm_endpoint_info.main, url=server.url, model="smollm2", timeout_s=0.5)
    assert result["ready"] is False
    assert result["healthy"] is healthy
    assert result["reason"].startswith(reason)
    assert result["completion"]["ok"] is False

    failed = run_module(vllm_endpoint_info.main, url=server.url, model="smollm2", timeout_s=0.5, fail_unless_ready=True)
    assert failed["failed"]
    assert failed["msg"].startswith(f"{server.url} is not ready: {reason}")


def test_one_special_token_has_no_text_but_proves_life(run_module: Any, server: Server) -> None:
    server.table["/v1/completions"] = (
        200,
        COMPLETION | {"choices": [{"text": "", "finish_reason": "stop"}]},
    )
    assert run_module(vllm_endpoint_info.main, url=server.url)["ready"] is True


def test_connection_refused(run_module: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = run_module(vllm_endpoint_info.main, url=f"http://127.0.0.1:{port}")
    assert result["reason"] == "health: connection refused"
    assert result["health"]["status"] is None


def test_key_from_file_is_sent_and_hidden(run_module: Any, server: Server, tmp_path: Path) -> None:
    server.key = KEY
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    server.table["/version"] = (200, {"version": f"leaks {KEY}"})
    result = run_module(vllm_endpoint_info.main, url=server.url, api_key_path=str(path))
    assert result["ready"] is True
    assert KEY not in json.dumps(result)


@pytest.mark.parametrize("given", [{}, {"api_key": "sk-another-key"}])
def test_refused_key_is_not_tried_again(run_module: Any, server: Server, given: dict[str, str]) -> None:
    server.key = KEY
    started = time.monotonic()
    result = run_module(vllm_endpoint_info.main, url=server.url, wait_s=60, **given)
    assert result["reason"] == "models: 401, the API key was refused or is missing"
    assert time.monotonic() - started < 10


def test_waits_until_ready(run_module: Any, server: Server) -> None:
    server.table["/health"] = (503, b"")
    threading.Timer(1.5, server.table.update, [GOOD]).start()
    assert run_module(vllm_endpoint_info.main, url=server.url, wait_s=20)["ready"] is True


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "127.0.0.1:8000"}, "expected http://host:port"),
        ({"api_key_path": "/nonexistent/key"}, "cannot read /nonexistent/key: No such file"),
        ({"api_key": KEY, "api_key_path": "b"}, "mutually exclusive"),
    ],
)
def test_bad_arguments(run_module: Any, wrong: dict[str, str], words: str) -> None:
    assert words in run_module(vllm_endpoint_info.main, **({"url": "http://127.0.0.1:1"} | wrong))["msg"]
