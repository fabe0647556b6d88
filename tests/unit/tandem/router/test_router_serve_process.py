"""`tandem router serve` as a process: what it needs to start, what it tells systemd, how it stops, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys

import pytest
from router_server import (
    Engine,
    completes,
    configuration,
    engines,
    eventually,
    in_loop,
    parse,
    read_answers,
    request,
    router,
)

from tandem.cli import main
from tandem.errors import TandemError
from tandem.router.serve.listen import load_certificate, tls_context

ASK = json.dumps({"model": "alpha", "messages": [{"role": "user", "content": "hello"}]}).encode()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.asynccontextmanager
async def process(path, *options, **environ):
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tandem", "router", "serve", str(path), *options),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environ},
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def listening(port):
    for _ in range(300):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    pytest.fail("it does not listen")


async def ask(port, data=None, tls=None, name=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    writer.write(data or request(ASK))
    found = await read_answers(reader)
    writer.close()
    return found


def written(tmp_path, text, port):
    path = tmp_path / "router.yaml"
    path.write_text(text.replace("port: 8899", f"port: {port}"))
    return path


@in_loop
async def test_from_start_to_sigterm(tmp_path):
    go_on = asyncio.Event()

    async def waits(asked, writer):
        await go_on.wait()
        await completes(asked, writer)

    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(tmp_path / "notify"))
    notified.settimeout(30)
    port, admin = free_port(), free_port()
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "CLIENT_KEY").write_text("sk-mine\n")
    async with engines(waits) as [engine]:
        path = written(tmp_path, configuration([engine], keys=', api_keys: ["${CLIENT_KEY}"]'), port)
        options = ("--log-format", "json", "--admin-listen", f"127.0.0.1:{admin}", "--stop-timeout", "20")
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
        async with process(path, *options, **environ) as started:
            ready = await asyncio.to_thread(notified.recv, 1000)
            assert b"READY=1" in ready
            assert parse(await ask(port))[0] == 401
            status, _, _ = parse(await ask(admin, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
            assert status == 200
            assert parse(await ask(admin))[0] == 404, "models behind the admin listener"
            asked = asyncio.create_task(ask(port, request(ASK, headers=["authorization: Bearer sk-mine"], close=False)))
            await eventually(lambda: engine.asked)
            started.send_signal(signal.SIGTERM)
            assert b"STOPPING=1" in await asyncio.to_thread(notified.recv, 1000)
            go_on.set()
            assert b"200 OK" in await asked
            log = [json.loads(line) for line in (await started.stderr.read()).splitlines()]
            assert await started.wait() == 0
    notified.close()
    expected = ["listening", "listening", "refused", "refused", "stopping", "request", "stopped"]
    assert [entry["event"] for entry in log] == expected
    assert log[5]["key"] == "CLIENT_KEY"
    assert log[6]["clean"] is True


@in_loop
async def test_what_hangs_is_cut_off_at_the_end(tmp_path):
    async def never(asked, writer):
        await asyncio.sleep(3600)

    port = free_port()
    async with engines(never) as [engine]:
        path = written(tmp_path, configuration([engine]), port)
        async with process(path, "--stop-timeout", "0.2") as started:
            await listening(port)
            asked = asyncio.create_task(ask(port))
            await eventually(lambda: engine.asked)
            started.send_signal(signal.SIGTERM)
            assert await asked == b""
            assert await started.wait() == 0
            assert b"clean=false" in await started.stderr.read()


def test_a_missing_key_ends_it_with_the_variable_and_the_line(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CLIENT_KEY", raising=False)
    path = written(tmp_path, configuration([1], keys=', api_keys: ["${CLIENT_KEY}"]'), 1)
    assert main(["router", "serve", str(path)]) == 2
    expected = (
        f"tandem: error: CLIENT_KEY ({path}:2) is not set; put each key into the environment or a systemd credential\n"
    )
    assert capsys.readouterr().err == expected


@pytest.fixture
def own_signals():
    """Put the handlers of signals back: uvloop leaves its own, as a process that serves does nothing else."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    former = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_what_cannot_be_served_ends_it_with_a_reason(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = written(tmp_path, configuration([1]), taken.getsockname()[1])
        assert main(["router", "serve", str(path)]) == 2
        assert "listener http cannot listen on 127.0.0.1 port" in capsys.readouterr().err
    assert main(["router", "serve", str(path), "--tls-key", str(path)]) == 2
    assert "--tls-certificate and --tls-key belong together" in capsys.readouterr().err
    assert main(["router", "serve", str(path), "--tls-key", str(path), "--tls-certificate", str(path)]) == 2
    assert "cannot be used" in capsys.readouterr().err
    path.write_text("version: v0.3\nnonsense: 1\n")
    assert main(["router", "serve", str(path)]) == 2
    assert "router.yaml:2: nonsense" in capsys.readouterr().err
    for option in ("--admin-listen=nowhere", "--stop-timeout=0", "--max-connections=-1", "--log-format=xml"):
        with pytest.raises(SystemExit) as error:
            main(["router", "serve", str(path), option])
        assert error.value.code == 2


@pytest.fixture
def certificate(tmp_path):
    """Return the files of a certificate for localhost, made by openssl."""
    return make_certificate(tmp_path)


def make_certificate(directory):
    paths = directory / "cert.pem", directory / "key.pem"
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    where = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*new, *names, *where], check=True, capture_output=True)
    return paths


@in_loop
async def test_tls_in_front(tmp_path, certificate):
    trusting = ssl.create_default_context(cafile=certificate[0])
    port = free_port()
    async with engines(completes) as [engine]:
        path = written(tmp_path, configuration([engine]), port)
        environ = {"TANDEM_ROUTER_TLS_CERTIFICATE": str(certificate[0]), "TANDEM_ROUTER_TLS_KEY": str(certificate[1])}
        async with process(path, **environ) as started:
            await listening(port)
            assert b"200 OK" in await ask(port, tls=trusting, name="localhost")
            assert b"200 OK" not in await ask(port)
            started.send_signal(signal.SIGHUP)
            assert b"200 OK" in await ask(port, tls=trusting, name="localhost")
            started.send_signal(signal.SIGTERM)
            assert await started.wait() == 0
            assert b"reloaded" in await started.stderr.read()


@in_loop
async def test_a_certificate_without_its_key_does_not_replace_one_that_works(tmp_path, certificate):
    # Who renews it writes two files, one after the other.
    (renewed := tmp_path / "renewed").mkdir()
    new = make_certificate(renewed)
    (broken := tmp_path / "broken.pem").write_text("no key")
    locked = tmp_path / "locked.pem"
    lock = ["openssl", "ec", "-in", str(new[1]), "-aes128", "-passout", "pass:x", "-out", str(locked)]
    subprocess.run(lock, check=True, capture_output=True)
    trusting = ssl.create_default_context(cafile=certificate[0])
    trusting.load_verify_locations(new[0])
    async with engines(completes) as [engine]:
        for key in (certificate[1], broken, locked, tmp_path / "missing.pem"):
            context = tls_context(*certificate)
            with pytest.raises(TandemError, match="cannot be used"):
                load_certificate(context, new[0], key)
            async with router(configuration([engine]), server_tls=context) as running:
                assert b"200 OK" in await ask(running.port, tls=trusting, name="localhost")


@in_loop
async def test_tls_to_a_backend_that_must_prove_who_it_is(certificate):
    mine = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    mine.load_cert_chain(*certificate)
    engine = Engine()
    engine.server = await asyncio.start_server(engine._serve, "127.0.0.1", 0, ssl=mine)
    port = engine.server.sockets[0].getsockname()[1]
    text = configuration([1]).replace('endpoint: "127.0.0.1:1"', f'base_url: "https://localhost:{port}/api/v1"')
    ask_alpha = {"model": "alpha", "messages": [{"role": "user", "content": "hello"}]}
    try:
        async with router(text, tls=ssl.create_default_context(cafile=certificate[0])) as running:
            assert (await running.post(ask_alpha))[0] == 200
            assert engine.asked[0].path == "/api/v1/chat/completions"
            assert engine.asked[0].headers["host"] == f"localhost:{port}"
        async with router(text) as running:
            status, _, body = await running.post(ask_alpha)
            assert (status, json.loads(body)["error"]["code"]) == (503, "upstream_connect")
        assert len(engine.asked) == 1
    finally:
        await engine.stop()
