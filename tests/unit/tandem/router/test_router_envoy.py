"""Envoy's configuration for upstream's router, run by a real Envoy. That router itself exists as an image only."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from cli.main import main as upstream
from click.testing import CliRunner

from tandem.errors import TandemError
from tandem.router import put_keys
from tandem.router.envoy import guard
from tests.unit.tandem.front.test_router_config import FIRST, config
from tests.unit.tandem.router.router_configs import _load_fast

ENVOY = Path(sys.executable).parent / "envoy"
KEY = "a-client-0123456789"
KEYS = {"CLIENT_DEFAULT": KEY, "ENGINE_FIRST": "engine-0123456789"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def of_upstream(path: Path, engine_port: int = 8000, **settings: Any) -> str:
    """Return what upstream's tool makes of our configuration for its router."""
    path.write_text(yaml.safe_dump(config(FIRST | {"port": engine_port}, model_router_engine="vllm_sr", **settings)))
    with mock.patch.object(yaml, "safe_load", _load_fast):
        result = CliRunner().invoke(upstream, ["config", "envoy", "--config", str(path)])
    assert result.exit_code == 0, result.output
    return result.stdout


def credentials(directory: Path, **keys: str) -> Path:
    directory.mkdir()
    for name, value in keys.items():
        (directory / name).write_text(f"{value}\n")
    return directory


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return of_upstream(tmp_path_factory.mktemp("upstream") / "router.yaml")


def test_what_upstream_writes_is_as_bad_as_said(text: str) -> None:
    """So that each of the repairs is one."""
    assert yaml.safe_load(text)["admin"]["address"]["socket_address"]["address"] == "0.0.0.0"
    assert '["${CLIENT_DEFAULT}"] = true' in text
    assert 'prefix: "/"' in text


def test_administration_is_local_and_paths_are_listed(text: str) -> None:
    document, code = guard(text, tls=False)
    assert '["${CLIENT_DEFAULT}"] = true' in code
    assert "${" not in json.dumps(document)
    assert document["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    for listener in document["static_resources"]["listeners"]:
        (manager,) = [f["typed_config"] for chain in listener["filter_chains"] for f in chain["filters"]]
        assert manager["http_filters"][0]["name"] == "envoy.filters.http.rbac"
        assert "transport_socket" not in listener["filter_chains"][0]


def test_only_clients_speak_tls(text: str) -> None:
    listeners = guard(text, tls=True)[0]["static_resources"]["listeners"]
    assert [(one["name"], "transport_socket" in one["filter_chains"][0]) for one in listeners] == [
        ("clients", True),
        ("looper", False),
    ]


@pytest.mark.parametrize("text", ["{}", "admin: {address: {socket_address: {}}}", "[]"])
def test_an_unknown_form_is_refused(text: str) -> None:
    with pytest.raises(TandemError, match=r"install vllm-sr 0\.4\.0"):
        guard(text, tls=False)


def test_keys_are_put_in_where_the_service_starts(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "keys.lua", tmp_path / "filled.lua"
    source.write_text(guard(text, tls=False)[1])
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path / "c", **KEYS)))

    assert put_keys.main(["text", str(source), str(out)]) == 0
    assert f'["{KEY}"] = true' in out.read_text()
    assert "${" not in out.read_text()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_the_environment_is_read_by_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path / "c", **KEYS)))
    out = tmp_path / "env"
    out.write_text("of the former start")
    out.chmod(0o644)

    assert put_keys.main(["environment", str(out), *KEYS]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    shown = subprocess.run(
        ["/bin/sh", "-c", f". {out} && echo $ENGINE_FIRST"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == KEYS["ENGINE_FIRST"]


@pytest.mark.parametrize("value", ['x"] = true, ["yyyyyyyyyyyyyyyyyyyy', "short", "", "a key with spaces in it"])
def test_a_key_that_is_code_is_refused_and_not_shown(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path / "c", A_KEY=value)))
    assert put_keys.main(["environment", str(tmp_path / "env"), "A_KEY"]) == 2
    told = capsys.readouterr().err
    assert "A_KEY: found what cannot be a key" in told
    assert not value or value not in told
    assert not (tmp_path / "env").exists()


def test_a_missing_key_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert put_keys.main(["environment", str(tmp_path / "env"), "A_KEY"]) == 2
    assert "A_KEY: cannot read this key (FileNotFoundError)" in capsys.readouterr().err


class Engine(BaseHTTPRequestHandler):
    """Counts what gets through."""

    seen: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        if self.path != "/health":  # which Envoy asks by itself
            self.seen.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Stay quiet."""


@pytest.fixture(params=[False, True], ids=["http", "https"])
def envoy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[http.client.HTTPConnection]:
    """Run Envoy as the unit does, without upstream's router: what its filters let through is what an engine sees."""
    tls = request.param
    engine = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    Engine.seen.clear()
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    port, looper = free_port(), free_port()
    ports = {"model_router_port": port, "model_router_looper_port": looper}
    document, code = guard(of_upstream(tmp_path / "router.yaml", engine.server_address[1], **ports), tls=tls)
    (tmp_path / "keys.lua").write_text(put_keys.put(code, KEYS.__getitem__))
    document["admin"]["address"]["socket_address"]["port_value"] = free_port()
    managers = [
        network_filter["typed_config"]
        for listener in document["static_resources"]["listeners"]
        for network_filter in listener["filter_chains"][0]["filters"]
    ]
    for manager in managers:
        kept = [one for one in manager["http_filters"] if one["name"] != "envoy.filters.http.ext_proc"]
        assert len(kept) == len(manager["http_filters"]) - 1
        manager["http_filters"] = kept
    text = json.dumps(document).replace("/run/tandem-router/", f"{tmp_path}/")
    if tls:
        subject = ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        files = ["-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt")]
        subprocess.run(["openssl", "req", "-x509", *curve, *subject, *files], check=True, capture_output=True)
        text = text.replace("/run/tandem-credentials", str(tmp_path))
    (tmp_path / "envoy.json").write_text(text)
    argv = [str(ENVOY), "--config-path", str(tmp_path / "envoy.json"), "--log-level", "error", "--concurrency", "1"]
    # Several may run at once.
    log = tmp_path / "envoy.log"
    with log.open("wb") as file:
        process = subprocess.Popen([*argv, "--use-dynamic-base-id"], stdout=file, stderr=file)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        context = ssl.create_default_context(cafile=str(tmp_path / "tls.crt")) if tls else None
        made_by = http.client.HTTPSConnection if tls else http.client.HTTPConnection
        more = {"context": context} if tls else {}
        yield made_by("localhost" if tls else "127.0.0.1", port, timeout=30, **more)
    finally:
        process.kill()
        process.wait()
        engine.shutdown()


def status(connection: http.client.HTTPConnection, path: str, key: str = KEY) -> int:
    connection.request("POST", path, b"{}", {"Authorization": f"Bearer {key}", "x-selected-model": "small"})
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


def test_envoy_lets_clients_have_what_is_listed_and_nothing_else(envoy: http.client.HTTPConnection) -> None:
    assert status(envoy, "/v1/chat/completions") == 200
    assert status(envoy, "/v1/models") == 200
    assert Engine.seen == ["/v1/chat/completions", "/v1/models"]
    for path in (
        "/pause",
        "/update_weights",
        "/v1/../pause",
        "//pause",
        "/v1/chat/completions/../../../pause",
        "/v1/%2e%2e/pause",
    ):
        assert status(envoy, path) in (400, 403), path
    assert len(Engine.seen) == 2


def test_envoy_refuses_wrong_keys_and_the_name_of_the_key(envoy: http.client.HTTPConnection) -> None:
    for key in ("wrong", "", "${CLIENT_DEFAULT}", KEYS["ENGINE_FIRST"]):
        assert status(envoy, "/v1/chat/completions", key) == 401, key
    assert Engine.seen == []
