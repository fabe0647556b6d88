"""The server in front of scripted engines: what is passed on, what is refused, what becomes of clients that leave."""

from __future__ import annotations

import asyncio
import hmac
import io
import json

import openai
import pytest
from router_server import (
    COMPLETION,
    EVENTS,
    answer,
    chunk,
    completes,
    configuration,
    engines,
    eventually,
    in_loop,
    piece,
    read_answers,
    request,
    router,
    says,
)

from tandem.router.serve import clients as clients_module
from tandem.router.serve.connection import Limits
from tandem.router.serve.log import LineLog

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "für später 🌦",
            "parameters": {
                "type": "object",
                "properties": {"n": {"type": "integer", "maximum": 2**70, "default": 1.0}},
            },
        },
    }
]
ASK = {"model": "alpha", "messages": [{"role": "user", "content": "hi"}]}


def client(port, key="none"):
    return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0)


@in_loop
async def test_official_client_gets_an_answer_whole_and_in_pieces():
    async with engines(completes) as [engine], router(configuration([engine])) as running, client(running.port) as ai:
        whole = await ai.chat.completions.create(**ASK)
        assert whole.choices[0].message.content == "hello"
        stream = await ai.chat.completions.create(**ASK, stream=True)
        assert "".join([part.choices[0].delta.content async for part in stream]) == "one two three"
        assert {model.id async for model in ai.models.list()} == {"vllm-sr/auto", "auto", "MoM", "alpha"}
        with pytest.raises(openai.NotFoundError) as error:
            await ai.chat.completions.create(**ASK | {"model": "nobody"})
        assert error.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError):
            await ai.post("/chat/completions", body=[], cast_to=dict)
    assert [asked.json["model"] for asked in engine.asked] == ["alpha-there"] * 2
    assert [entry["status"] for entry in running.log.of("request")] == [200, 200, 404, 400]


@in_loop
async def test_a_request_is_passed_on_as_it_is_but_for_the_name_of_the_model():
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        body = ASK | {
            "tools": TOOLS,
            "temperature": 0.30000000000000004,
            "seed": 2**64 + 1,
            "unknown": {"a": [None, True]},
        }
        headers = ["x-mine: kept", "authorization: Bearer sk-client", "api-key: sk", "cookie: a=b", "te: trailers"]
        headers += ["connection: x-hop", "x-hop: 1", "x-vsr-selected-model: forged", "accept-encoding: gzip"]
        status, _, _ = await running.post(body, headers=headers)
    assert status == 200
    [asked] = engine.asked
    assert asked.json == body | {"model": "alpha-there"}
    assert asked.headers["x-mine"] == "kept"
    assert asked.headers["host"] == f"127.0.0.1:{engine.port}"
    unwanted = {"authorization", "api-key", "cookie", "te", "connection", "x-hop", "accept-encoding"}
    assert not unwanted & set(asked.headers)
    assert not any(name.startswith("x-vsr-") for name in asked.headers)


@in_loop
async def test_keys_of_backends_come_from_the_environment_and_win_over_the_client():
    extra = ", api_key_env: UPSTREAM_KEY, extra_headers: {x-team: ours}"
    environ = {"UPSTREAM_KEY": "sk-upstream"}
    async with engines(completes) as [engine], router(configuration([engine], extra=extra), environ) as running:
        await running.post(ASK, headers=["authorization: Bearer sk-client", "x-team: forged"])
    assert engine.asked[0].headers["authorization"] == "Bearer sk-upstream"
    assert engine.asked[0].headers["x-team"] == "ours"


@in_loop
async def test_a_stream_is_passed_on_byte_for_byte():
    parts = [b"data: \xff\x00 not even text\r\n\r\n", b": comment\n\n", piece("x" * 100_000), b"tail without end"]

    async def script(asked, writer):
        writer.write(EVENTS)
        for part in parts:
            writer.write(chunk(part))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")

    async with engines(script) as [engine], router(configuration([engine])) as running:
        status, headers, body = await running.post(ASK | {"stream": True})
    assert (status, body) == (200, b"".join(parts))
    assert headers["content-type"] == "text/event-stream"
    assert headers["x-vsr-selected-model"] == "alpha"


@in_loop
async def test_the_first_piece_does_not_wait_for_the_second():
    go_on = asyncio.Event()

    async def script(asked, writer):
        writer.write(EVENTS + chunk(piece("first")))
        await go_on.wait()
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    async with engines(script) as [engine], router(configuration([engine])) as running, client(running.port) as ai:
        stream = await ai.chat.completions.create(**ASK, stream=True)
        first = await anext(stream)
        assert first.choices[0].delta.content == "first"
        go_on.set()
        assert [part async for part in stream] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/pause", 404),
        ("POST", "/update_weights", 404),
        ("POST", "/invocations", 404),
        ("POST", "/v1/embeddings", 404),
        ("POST", "/v1/../pause", 404),
        ("POST", "//v1/chat/completions", 404),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "/v1/chat/completions/../../pause", 404),
        ("POST", "/v1%2fchat%2fcompletions", 404),
        ("POST", "http://127.0.0.1/pause", 404),
        ("GET", "/v1/chat/completions", 405),
        ("OPTIONS", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("DELETE", "/health", 405),
    ],
)
@in_loop
async def test_other_paths_are_not_there(method, path, status):
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        data = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{{}}"
        found = await running.send(data.encode())
    assert found.startswith(f"HTTP/1.1 {status} ".encode())
    assert "message" in json.loads(found.partition(b"\r\n\r\n")[2])["error"]
    assert engine.asked == []


_POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
_BODY = json.dumps(ASK).encode()


@pytest.mark.parametrize(
    "data",
    [
        _POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        _POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        _POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        _POST + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        _POST + b"content-length: +5\r\n\r\nhello",
        _POST + b"content-length: 5, 5\r\n\r\nhello",
        _POST + b"content-length: -1\r\n\r\n",
        _POST + b"content-length : 5\r\n\r\nhello",
        _POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        _POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        _POST + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        _POST + b"transfer-encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
        _POST + b"transfer-encoding: chunked\r\n\r\n5\r\nhello, more\r\n0\r\n\r\n",
        _POST + b"transfer-encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        _POST + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        _POST + b" folded: 1\r\n\r\n",
        _POST + b"bad name: 1\r\n\r\n",
        _POST + b"x: a\x00b\r\n\r\n",
        _POST + b"host: again\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/2.0\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /health\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        _POST + b"expect: something\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
@in_loop
async def test_what_can_be_understood_in_two_ways_is_refused_and_the_connection_closed(data):
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        smuggled = request(_BODY)
        found = await running.send(data + smuggled)
    assert found.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))
    assert found.count(b"HTTP/1.1 ") == 1, "what came after was taken for a request"
    assert engine.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b'{"model": NaN}', 400),
        (b'{"model": "\xff"}', 400),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400),
        (b'{"model": 5, "messages": [{"role": "user", "content": "a"}]}', 400),
    ],
)
@in_loop
async def test_a_body_that_is_no_request_is_refused(body, status):
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        found, _, _ = await running.post(body)
    assert (found, engine.asked) == (status, [])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is empty; send a JSON object."),
        (b'{"model": ["alpha"], "messages": []}', "model: a list; name one of vllm-sr/auto, auto, MoM, alpha"),
    ],
)
@in_loop
async def test_a_refusal_says_what_was_found(body, said):
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        _, _, found = await running.post(body)
    assert json.loads(found)["error"]["message"] == said


@in_loop
async def test_limits_of_requests():
    limits = Limits(
        max_request_bytes=1000, max_connections=3, head_timeout_sec=0.6, body_timeout_sec=0.6, idle_timeout_sec=0.6
    )
    async with engines(completes) as [engine], router(configuration([engine]), limits=limits) as running:
        assert (await running.post(ASK | {"x": "y" * 1000}))[0] == 413
        chunked = _POST + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"x" * 600) + chunk(b"x" * 600) + b"0\r\n\r\n"
        assert b" 413 " in await running.send(chunked)
        assert b" 431 " in await running.send(_POST + b"".join(b"x%d: y\r\n" % n for n in range(120)))
        assert b" 431 " in await running.send(_POST + b"x: " + b"y" * 40_000)
        assert b" 431 " in await running.send(request(_BODY, headers=["x: " + "y" * 40_000])), "also in one piece"
        assert b" 415 " in await running.send(request(_BODY).replace(b"application/json", b"text/plain"))
        # Nobody may be slow for ever, in the head, in the body or between requests.
        assert b" 408 " in await running.send(_POST)
        assert b" 408 " in await running.send(_POST + b"content-length: 900\r\n\r\n{")
        found = await running.send(request(_BODY, close=False))
        assert found.endswith(json.dumps(COMPLETION).encode())
        idle = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(3)]
        assert b" 503 " in await running.send(request(_BODY))
        for _, writer in idle:
            writer.close()
        await eventually(lambda: not running.clients.connections)
        assert running.clients.buffered_bytes == 0
    assert len(engine.asked) == 1


@in_loop
async def test_a_refusal_is_read_by_a_client_that_sends_on():
    limits = Limits(max_request_bytes=1000)
    async with engines(completes) as [engine], router(configuration([engine]), limits=limits) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(_POST + b"content-length: 500000\r\n\r\n")
        for _ in range(50):
            writer.write(b"x" * 10_000)
            await asyncio.sleep(0)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")
        writer.close()


@in_loop
async def test_expect_100_continue_and_pipelined_requests():
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(_POST + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(_BODY))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(_BODY + request(_BODY, close=False) * 20 + request(_BODY))
        found = await read_answers(reader)
        writer.close()
    assert found.count(b"HTTP/1.1 200 OK") == 22 == len(engine.asked)


@in_loop
async def test_http_1_0_clients_get_an_end_they_understand():
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        data = request(json.dumps(ASK | {"stream": True}).encode()).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        found = await running.send(data)
    head, _, body = found.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body.endswith(b"data: [DONE]\n\n")


@in_loop
async def test_clients_need_one_of_the_keys_and_are_logged_by_its_name(monkeypatch):
    compared, constant_time = [], hmac.compare_digest

    def compare(one, other):
        compared.append((one, other))
        return constant_time(one, other)

    monkeypatch.setattr(clients_module.hmac, "compare_digest", compare)
    keys = ', api_keys: ["${TEAM_A}", "${TEAM_B}"]'
    environ = {"TEAM_A": "sk-value-a", "TEAM_B": "sk-value-b"}
    async with engines(completes) as [engine], router(configuration([engine], keys=keys), environ) as running:
        for headers, status in (
            ([], 401),
            (["authorization: Bearer wrong"], 401),
            (["authorization: sk-value-a"], 401),
            (["authorization: Bearer sk-value-a, Bearer sk-value-b"], 401),
            (["authorization: Bearer sk-value-a"], 200),
            (["api-key: sk-value-b"], 200),
        ):
            assert (await running.post(ASK, headers=headers))[0] == status
        assert (await running.get("/v1/models"))[0] == 401
        assert (await running.get("/metrics"))[0] == 401
        assert (await running.get("/health"))[0] == 200
        assert (await running.get("/ready"))[0] == 200
    assert [entry["key"] for entry in running.log.of("request")] == ["TEAM_A", "TEAM_B"]
    assert {entry["code"] for entry in running.log.of("refused")} == {"invalid_api_key"}
    assert "sk-value" not in repr(running.log.events)
    assert len(compared) % 2 == 0, "not every key was compared"
    assert all(len(one) == len(other) == 32 for one, other in compared)


@in_loop
async def test_a_client_that_leaves_cancels_its_call():
    begun = asyncio.Event()

    async def endless(asked, writer):
        writer.write(EVENTS)
        begun.set()
        while True:
            writer.write(chunk(piece("more")))
            await writer.drain()
            await asyncio.sleep(0.01)

    async def silent(asked, writer):
        begun.set()
        await asyncio.sleep(3600)

    for script in (endless, silent):
        begun.clear()
        async with engines(script) as [engine], router(configuration([engine])) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(request(json.dumps(ASK | {"stream": True}).encode()))
            await begun.wait()
            if script is endless:
                await reader.readuntil(b"more")
            writer.close()
            await eventually(lambda: engine.open_connections == 0)
            await eventually(lambda: len(running.log.of("request")) == 1)
            assert running.log.of("request")[0]["failure"] == "client_closed"
            assert running.upstream.groups["alpha"].backends[0].active == 0


@in_loop
async def test_a_client_that_does_not_read_slows_its_engine_down():
    sent = 0

    async def fast(asked, writer):
        nonlocal sent
        writer.write(EVENTS)
        while True:
            data = chunk(b"x" * 65536)
            writer.write(data)
            await writer.drain()
            sent += len(data)

    async with engines(fast) as [engine], router(configuration([engine])) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
        writer.write(request(_BODY))
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 32 << 20  # buffers of the kernel on both sides, and little of ours
        [connection] = running.clients.connections
        assert connection._transport.get_write_buffer_size() < 1 << 20
        writer.close()
        await eventually(lambda: engine.open_connections == 0)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 502, "upstream_closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", 502, "upstream_closed"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", 502, "upstream_garbage"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 502, "upstream_garbage"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", 502, "upstream_garbage"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000, 502, "upstream_garbage"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, 502, "upstream_garbage"),
    ],
)
@in_loop
async def test_what_is_no_answer_is_told_with_a_reason(data, status, code):
    async with engines(says(data, close=True)) as [engine], router(configuration([engine])) as running:
        found, _, body = await running.post(ASK)
    assert (found, json.loads(body)["error"]["code"]) == (status, code)
    assert "alpha-0" in json.loads(body)["error"]["message"]


@in_loop
async def test_an_engine_that_is_not_there_or_never_answers():
    async def never(asked, writer):
        await asyncio.sleep(3600)

    async with engines(never) as [engine], router(configuration([engine], [1], timeout="500ms")) as running:
        status, _, body = await running.post(ASK)
        assert (status, json.loads(body)["error"]["type"]) == (504, "server_error")
        status, headers, body = await running.post(ASK | {"model": "beta"})
        assert (status, json.loads(body)["error"]["code"]) == (503, "upstream_connect")
        assert headers["retry-after"] == "1"
        await eventually(lambda: engine.open_connections == 0)


@in_loop
async def test_half_a_stream_ends_with_an_error_that_clients_raise():
    async def half(asked, writer):
        writer.write(EVENTS + chunk(piece("half")) + chunk(b'data: {"cut'))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async with engines(half) as [engine], router(configuration([engine])) as running, client(running.port) as ai:
        stream = await ai.chat.completions.create(**ASK, stream=True)
        assert (await anext(stream)).choices[0].delta.content == "half"
        with pytest.raises((openai.APIError, json.JSONDecodeError)):
            async for _ in stream:
                pass
        await eventually(lambda: running.log.of("request"))
        assert running.log.of("request")[0]["failure"] == "closed"


@in_loop
async def test_half_a_whole_answer_is_not_passed_off_as_whole():
    script = says(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{half", close=True)
    async with engines(script) as [engine], router(configuration([engine])) as running:
        found = await running.send(request(_BODY))
    assert b"content-length: 100" in found
    assert found.endswith(b"{half")


@in_loop
async def test_an_answer_that_only_the_end_of_the_connection_ends():
    script = says(b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nall of it", close=True)
    async with engines(script) as [engine], router(configuration([engine])) as running:
        assert (await running.post(ASK))[2] == b"all of it"


@in_loop
async def test_errors_of_engines_are_theirs_and_go_through():
    body = b'{"error": {"message": "slow down", "type": "rate", "code": 429}}'
    script = says(answer(429, body, ["retry-after: 7", "set-cookie: a=b", "connection: x-hop", "x-hop: 1"], "Too Many"))
    async with engines(script) as [engine], router(configuration([engine])) as running:
        status, headers, found = await running.post(ASK)
    assert (status, found, headers["retry-after"]) == (429, body, "7")
    assert not {"set-cookie", "x-hop"} & set(headers)


@in_loop
async def test_ready_health_and_metrics():
    async with engines(completes) as [engine]:
        async with router(configuration([engine], [1])) as running:
            assert (await running.get("/health"))[0] == 200
            head = b"HEAD /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            assert (await running.send(head)).endswith(b"content-length: 18\r\nconnection: close\r\n\r\n")
            assert (await running.get("/ready"))[0] == 200  # nothing needs beta
            await running.post(ASK)
            text = (await running.get("/metrics"))[2].decode()
            assert 'llm_model_requests_total{model="alpha"} 1.0' in text
            assert 'tandem_router_upstream_up{backend="beta-0",model="beta"} 0.0' in text
            assert 'tandem_router_requests_total{path="/v1/chat/completions",status="200"} 1.0' in text
        async with router(configuration([1])) as running:
            status, _, body = await running.get("/ready")
            assert (status, json.loads(body)["missing"]) == (503, ["alpha"])
            assert (await running.get("/health"))[0] == 200


@pytest.mark.parametrize(("more", "models"), [("", ["alpha"]), ("include_config_models_in_list: false", [])])
@in_loop
async def test_models_are_listed_unless_the_configuration_leaves_them_out(more, models):
    async with (
        engines(completes) as [engine],
        router(configuration([engine], more=f"global: {{router: {{{more}}}}}\n")) as running,
    ):
        listed = json.loads((await running.get("/v1/models"))[2])["data"]
        assert [each["id"] for each in listed] == ["vllm-sr/auto", "auto", "MoM", *models]
        assert (await running.post(ASK))[0] == 200


@in_loop
async def test_a_stop_lets_requests_end():
    go_on = asyncio.Event()

    async def waits(asked, writer):
        await go_on.wait()
        await completes(asked, writer)

    async with engines(waits) as [engine], router(configuration([engine])) as running:
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", running.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request(_BODY, close=False))
        await eventually(lambda: engine.asked)
        stopping = asyncio.create_task(running.listeners.close(10))
        assert await idle_reader.read() == b""
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection("127.0.0.1", running.port)
        go_on.set()
        found = await read_answers(reader)
        assert b"200 OK" in found
        assert b"connection: close" in found
        writer.close()
        idle_writer.close()
        assert await stopping is True


@in_loop
async def test_requests_may_come_in_any_pieces():
    data = (
        request(_BODY, close=False)
        + _POST
        + b"transfer-encoding: chunked\r\n\r\n"
        + chunk(_BODY)
        + b"0\r\nx: y\r\n\r\n"
    )
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        for size in (1, 7, 100):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            for start in range(0, len(data), size):
                writer.write(data[start : start + size])
                await asyncio.sleep(0)
            writer.write(request(_BODY))
            assert (await read_answers(reader)).count(b"HTTP/1.1 200 OK") == 3
            writer.close()
    assert [asked.json["messages"] for asked in engine.asked] == [ASK["messages"]] * 9


@in_loop
async def test_a_wish_for_another_protocol_is_passed_over_and_the_body_is_read():
    # Java's client asks for HTTP/2 in its first request to every server without TLS.
    wish = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    bodies = (
        b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY),
        b"transfer-encoding: Chunked\r\n\r\n%b0\r\n\r\n" % chunk(_BODY),
    )
    async with engines(completes) as [engine], router(configuration([engine])) as running:
        for data in (_POST + wish + body + request(_BODY) for body in bodies):
            for size in (1, 7, len(data)):
                reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
                for start in range(0, len(data), size):
                    writer.write(data[start : start + size])
                    await asyncio.sleep(0)
                assert (await read_answers(reader)).count(b"HTTP/1.1 200 OK") == 2
                writer.close()
        without = b"GET /health HTTP/1.1\r\nhost: x\r\n" + wish + b"\r\n"
        assert (await running.send(without + request(_BODY))).count(b"HTTP/1.1 ") == 1
    assert [asked.json["messages"] for asked in engine.asked] == [ASK["messages"]] * 12
    assert all("upgrade" not in asked.headers for asked in engine.asked)


@in_loop
async def test_the_id_of_a_request_goes_all_the_way():
    script = says(answer(200, b"{}", ["x-request-id: theirs"]))
    async with engines(script) as [engine], router(configuration([engine])) as running:
        _, headers, _ = await running.post(ASK, headers=["x-request-id: mine-1"])
        assert headers["x-request-id"] == engine.asked[0].headers["x-request-id"] == "mine-1"
        _, headers, _ = await running.post(ASK, headers=["x-request-id: " + "x" * 500])
        assert headers["x-request-id"] == engine.asked[1].headers["x-request-id"] != "x" * 500
        assert [entry["id"] for entry in running.log.of("request")] == ["mine-1", headers["x-request-id"]]


@in_loop
async def test_the_log_is_a_line_for_each_event_whatever_is_in_it():
    for form in ("text", "json"):
        written = io.BytesIO()
        log = LineLog(form, asyncio.get_running_loop(), written)
        log.event("request", {"asked": "two\nlines \u2028", "status": 200, "key": None, "more": {"a": 1}})
        assert written.getvalue() == b""
        log.flush()
        line, rest = written.getvalue().decode().split("\n")
        assert rest == ""
        assert "key" not in line
        assert json.loads(line)["asked"] == "two\nlines \u2028" if form == "json" else 'more={"a":1}' in line
