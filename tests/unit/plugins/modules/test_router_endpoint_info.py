"""The module against a real HTTP server that answers as a router must, or badly."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import router_endpoint_info
from tests.unit.plugins.modules.test_vllm_endpoint_info import Server

KEY = "sk-0123456789abcdef"
CHAT = {"choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "length"}]}
MODELS = {"object": "list", "data": [{"id": "auto"}, {"id": "smollm2"}]}
ALL_RIGHT: dict[str, tuple[int, Any]] = {
    "/ready": (200, {}),
    "/v1/models": (200, MODELS),
    "/v1/chat/completions": (200, CHAT),
}


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.table = dict(ALL_RIGHT)
    made.key = KEY
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.released.set()
    made.shutdown()


@pytest.fixture
def key_path(tmp_path: Path) -> str:
    (tmp_path / "key").write_text(f"{KEY}\n")
    return str(tmp_path / "key")


def test_a_router_that_is_as_it_must_be(server: Server, key_path: str, run_module: Any) -> None:
    result = run_module(
        router_endpoint_info.main, url=server.url, api_key_path=key_path, models=["smollm2"], fail_unless_ready=True
    )
    assert result["ready"]
    assert result["models"] == ["auto", "smollm2"]
    assert result["statuses"] == {
        "ready": 200,
        "wrong key": 401,
        "/pause": 404,
        "/update_weights": 404,
        "/invocations": 404,
        "models": 200,
    }
    assert result["answers"]["smollm2"]["status"] == 200
    assert not result["changed"]
    assert KEY not in str(result)


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        (
            "/ready",
            (503, {"error": {"message": "no backend"}}),
            "ready: 503, the engine is not able to serve: no backend",
        ),
        ("/pause", (200, {}), "/pause was answered with status 200"),
        ("/update_weights", (401, {}), "/update_weights was answered with status 401"),
        ("/v1/models", (200, {"data": [{"id": "auto"}]}), "models: smollm2 not listed; listed: auto"),
        ("/v1/models", (200, "garbage"), "models: 200 but not a list of models"),
        ("/v1/chat/completions", (502, {"error": {"message": "gone"}}), "completion of smollm2: status 502: gone"),
        ("/v1/chat/completions", (200, {"choices": []}), "completion of smollm2: 200 but no chat completion"),
    ],
)
def test_what_is_not_as_it_must_be_is_said(
    server: Server, key_path: str, *, run_module: Any, path: str, answer: Any, reason: str
) -> None:
    server.table[path] = answer
    result = run_module(router_endpoint_info.main, url=server.url, api_key_path=key_path, models=["smollm2"])
    assert not result["ready"]
    assert reason in result["reason"]


def test_a_router_that_takes_any_key_is_refused(server: Server, key_path: str, run_module: Any) -> None:
    server.key = None
    result = run_module(router_endpoint_info.main, url=server.url, api_key_path=key_path, fail_unless_ready=True)
    assert result["failed"]
    assert "a wrong key was answered with status 200" in result["msg"]


def test_without_keys_none_is_asked_for(server: Server, run_module: Any) -> None:
    server.key = None
    result = run_module(router_endpoint_info.main, url=server.url, models=["smollm2"], check_mode=True)
    assert result["ready"]
    assert "wrong key" not in result["statuses"]


def test_readiness_may_be_asked_elsewhere(server: Server, key_path: str, run_module: Any) -> None:
    del server.table["/ready"]
    server.table["/up"] = (200, {})
    result = run_module(router_endpoint_info.main, url=server.url, ready_url=f"{server.url}/up", api_key_path=key_path)
    assert result["ready"]


def test_nobody_there(server: Server, run_module: Any) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    result = run_module(router_endpoint_info.main, url=url)
    assert result["reason"] == "ready: connection refused"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "127.0.0.1:1"}, "url: found '127.0.0.1:1', expected http://host:port"),
        ({"url": "http://127.0.0.1:1", "api_key_path": "/nonexistent"}, "api_key_path: cannot read /nonexistent"),
        (
            {"url": "http://127.0.0.1:1", "certificate_path": "/nonexistent"},
            "certificate_path: cannot read /nonexistent",
        ),
    ],
)
def test_bad_input_is_named(run_module: Any, arguments: dict[str, str], words: str) -> None:
    assert words in run_module(router_endpoint_info.main, **arguments)["msg"]


def certificate(directory: Path, name: str) -> tuple[str, str]:
    files = str(directory / f"{name}.crt"), str(directory / f"{name}.key")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*made, "-days", "2", "-subj", f"/CN={name}.example", "-out", files[0], "-keyout", files[1]],
        check=True,
        capture_output=True,
    )
    return files


def test_its_own_certificate_is_trusted_and_no_other(
    server: Server, key_path: str, tmp_path: Path, run_module: Any
) -> None:
    own, other = certificate(tmp_path, "own"), certificate(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    arguments = {"url": url, "api_key_path": key_path, "models": ["smollm2"]}

    assert run_module(router_endpoint_info.main, certificate_path=own[0], **arguments)["ready"]
    refused = run_module(router_endpoint_info.main, certificate_path=other[0], **arguments)
    assert "CERTIFICATE_VERIFY_FAILED" in refused["reason"]
