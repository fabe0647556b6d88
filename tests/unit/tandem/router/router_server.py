"""The router on a port of its own, in front of scripted engines: for the tests of the server and the upstream side."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
from dataclasses import dataclass, field

import uvloop

from tandem.router.config.load import load
from tandem.router.serve.app import Settings, create_app
from tandem.router.serve.clients import ClientKeys
from tandem.router.serve.compose import compose
from tandem.router.serve.connection import Clients, Limits
from tandem.router.serve.listen import Listeners, Place
from tandem.router.upstream.build import build_upstream
from tandem.router.upstream.keys import Keys

#: With all that is waited for after a soak.
TEST_TIMEOUT_SEC = 60 + float(os.environ.get("SOAK_SECONDS", "0"))
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "there",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def in_loop(test):
    """Run an async test in the event loop that the router has."""

    @functools.wraps(test)
    def wrapper(*args, **kwargs):
        async def bounded():
            async with asyncio.timeout(TEST_TIMEOUT_SEC):
                await test(*args, **kwargs)

        uvloop.run(bounded())

    return wrapper


@dataclass
class Asked:
    """A request that an engine got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def piece(text, **more):
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "there"}
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: %b\n\n" % json.dumps(chunk | {"choices": [choice]} | more).encode()


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(status=200, body=b"{}", headers=(), reason="OK"):
    lines = [f"HTTP/1.1 {status} {reason}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def completes(asked, writer):
    """Answer as vLLM would."""
    if asked.method == "GET":
        writer.write(answer())
    elif asked.json.get("stream"):
        writer.write(EVENTS)
        for text in ("one ", "two ", "three"):
            writer.write(chunk(piece(text)))
            await writer.drain()
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    else:
        writer.write(answer(body=json.dumps(COMPLETION).encode()))


def says(data, *, close=False):
    """Return a script that sends these bytes."""

    async def script(asked, writer):
        writer.write(data)
        if close:
            writer.close()

    return script


@dataclass
class Engine:
    """A server whose answers are scripted: `script(asked, writer)` writes them, byte for byte."""

    script: object = completes
    asked: list[Asked] = field(default_factory=list)
    open_connections: int = 0
    connections: int = 0
    port: int = 0
    server: asyncio.Server | None = None
    tasks: set = field(default_factory=set)

    async def start(self, port=0):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 24)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.open_connections += 1
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {}
                for line in head[1:-2]:
                    name, _, value = line.partition(":")
                    assert name.lower() not in headers, f"{name} twice"
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                asked = Asked(method, path, headers, body)
                if method == "POST":
                    self.asked.append(asked)
                # A client that goes away ends the script, whatever it waits for.
                script = asyncio.ensure_future(self.script(asked, writer))
                gone = asyncio.ensure_future(reader.read(1))
                try:
                    await asyncio.wait((script, gone), return_when=asyncio.FIRST_COMPLETED)
                    if gone.done():
                        return
                    script.result()
                    await writer.drain()
                finally:
                    script.cancel()
                    gone.cancel()
                    await asyncio.gather(script, gone, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # cancelled by stop(): asyncio's streams would make a fuss about it
        finally:
            self.open_connections -= 1
            self.tasks.discard(task)
            writer.close()


@contextlib.asynccontextmanager
async def engines(*scripts):
    """Start an engine for each script."""
    started = [await Engine(script).start() for script in scripts]
    try:
        yield started
    finally:
        for engine in started:
            await engine.stop()


def configuration(*groups, reliability="", keys="", timeout="30s", more="", extra=""):
    """Return a configuration with a model for each group of engines (or ports): alpha, beta..."""
    models = []
    for name, group in zip(("alpha", "beta", "gamma"), groups, strict=False):
        refs = "".join(
            f'\n        - {{name: "{name}-{index}", endpoint: "127.0.0.1:{getattr(one, "port", one)}"{extra}}}'
            for index, one in enumerate(group)
        )
        models.append(
            f"\n    - name: {name}\n      provider_model_id: {name}-there\n      backend_refs:{refs}"
            f"\n      reliability: {{{reliability}}}"
        )
    return (
        f"version: v0.3\nlisteners: [{{name: http, address: 127.0.0.1, port: 8899, timeout: {timeout}{keys}}}]\n"
        f"providers:\n  defaults: {{model: alpha}}\n  models:{''.join(models)}\n{more}"
    )


class Events:
    """Keeps what is logged."""

    def __init__(self):
        self.events = []

    def event(self, name, fields):
        self.events.append((name, dict(fields)))

    def of(self, name):
        return [fields for event, fields in self.events if event == name]


@dataclass
class Router:
    """A running router."""

    port: int
    log: Events
    clients: Clients
    upstream: object
    listeners: Listeners
    app: object

    async def send(self, data):
        """Send bytes on a new connection, and return all that comes until it is closed or quiet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await read_answers(reader)
        finally:
            writer.close()

    async def post(self, body, path="/v1/chat/completions", headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return parse(await self.send(request(data, path, headers)))

    async def get(self, path, headers=()):
        lines = "".join(f"{line}\r\n" for line in headers)
        return parse(await self.send(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n".encode()))


def request(data, path="/v1/chat/completions", headers=(), close=True):
    lines = [
        f"POST {path} HTTP/1.1",
        "host: router",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *(["connection: close"] if close else []),
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def read_answers(reader):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := await reader.read(65536):
            data += part
    return data


def parse(data):
    """Return status, headers and body; chunks are put together, a missing end raises."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name not in headers, f"{name} twice"
        headers[name] = value
    if headers.get("transfer-encoding") == "chunked":
        rest, body = body, b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            if int(size, 16) == 0:
                assert rest == b"\r\n"
                break
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    elif "content-length" in headers:
        assert len(body) == int(headers["content-length"])
    return int(first.split(" ")[1]), headers, body


@contextlib.asynccontextmanager
async def router(text, environ=None, *, limits=None, fuse=None, routing=None, tls=None, server_tls=None):
    """Serve a configuration; parts that are given take the place of ours."""
    loaded = load(text.encode())
    assert loaded.config, [problem.render("config") for problem in loaded.problems]
    config, log, limits = loaded.config, Events(), limits or Limits()
    keys, clients = Keys(environ or {}), Clients(limits)
    settings = Settings(config=config, limits=limits)
    parts = await compose(settings, keys, log)
    upstream, app = parts.upstream, parts.app
    if tls is not None:
        await parts.close()
        upstream = build_upstream(config, keys, observer=app.metrics, tls=tls)
        await upstream.start()
    app = create_app(
        settings,
        upstream=upstream,
        routing=routing or app.routing,
        fuse=fuse or app.answers._fuse,
        metrics=app.metrics,
        log=log,
    )
    listener = config.listeners[0]
    known = ClientKeys({key.variable: keys.text(key) for key in listener.api_keys})
    listeners = Listeners(clients)
    place = Place("http", "127.0.0.1", 0, app.entrance(known, listener.timeout), server_tls)
    await listeners.open([place])
    try:
        yield Router(listeners.ports[0], log, clients, upstream, listeners, app)
    finally:
        await listeners.close(0)
        await upstream.close()
        await parts.close()


async def eventually(condition, seconds=5.0):
    """Wait until a condition holds."""
    until = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < until, "it never came about"
        await asyncio.sleep(0.01)
