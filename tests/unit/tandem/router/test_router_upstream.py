"""Balancing, retries, ejection, health checks and load: of scripted engines, and of the pure parts."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from router_server import (
    EVENTS,
    Engine,
    answer,
    chunk,
    completes,
    configuration,
    engines,
    eventually,
    in_loop,
    piece,
    router,
    says,
)

from tandem.errors import TandemError
from tandem.router.calls import Call, CallFailed, Load
from tandem.router.config.load import load
from tandem.router.config.providers import Reliability
from tandem.router.upstream import connection, keys, pool, retry
from tandem.router.upstream import load as loads
from tandem.router.upstream.backends import Backend, Group
from tandem.router.upstream.build import build_upstream

BODY = {"messages": [{"role": "user", "content": "hi"}]}


@contextlib.asynccontextmanager
async def upstream(text, environ=None, **options):
    config = load(text.encode()).config
    assert config
    made = build_upstream(config, keys.Keys(environ or {}), **options)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def call(model="alpha", timeout_sec=5.0, **more):
    return Call(model=model, body=BODY, timeout_sec=timeout_sec, **more)


@dataclass
class NoPool:
    reachable: bool | None = None
    idle: int = 0


def group(*weights, **rules):
    backends = [Backend(f"b{index}", NoPool(), b"", weight=weight) for index, weight in enumerate(weights)]
    return Group("m", "m", backends, Reliability(**rules))


# -- the choice


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_turns_follow_the_weights_exactly(weights):
    chosen = group(*weights)
    counts = Counter(chosen.choose(0.0).name for _ in range(sum(weights) * 3))
    assert counts == Counter({f"b{index}": weight * 3 for index, weight in enumerate(weights)}) - Counter()


def test_turns_have_no_bursts():
    chosen = group(3, 1)
    assert "".join(chosen.choose(0.0).name[1] for _ in range(8)) == "00100010"


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 20)), min_size=1, max_size=6))
def test_least_request_takes_one_with_least_to_do_for_its_weight(servers):
    chosen = group(*(weight for weight, _ in servers), lb_policy="least_request")
    for backend, (_, active) in zip(chosen.backends, servers, strict=True):
        backend.active = active
    least = min((active + 1) / weight for weight, active in servers)
    backend = chosen.choose(0.0)
    assert (backend.active + 1) / backend.weight == least


def test_equals_take_turns_under_least_request():
    chosen = group(1, 1, 1, lb_policy="least_request")
    assert {chosen.choose(0.0).name for _ in range(3)} == {"b0", "b1", "b2"}


def test_consecutive_failures_eject_for_ever_longer_and_never_too_many():
    chosen = group(1, 1, consecutive_5xx=2, base_ejection_time=10.0, max_ejection_percent=50)
    one, two = chosen.backends
    assert chosen.failed(one, 0.0) == 0.0
    chosen.answered(one)
    assert chosen.failed(one, 0.0) == 0.0, "an answer in between did not count"
    assert chosen.failed(one, 0.0) == 10.0
    assert {chosen.choose(5.0).name for _ in range(9)} == {"b1"}
    assert [chosen.failed(two, 5.0) for _ in range(5)] == [0.0] * 5, "more than half was ejected"
    assert {chosen.choose(10.0).name for _ in range(9)} == {"b0", "b1"}
    assert [chosen.failed(one, 11.0) for _ in range(2)] == [0.0, 20.0]
    assert [chosen.failed(one, 100.0) for _ in range(2)] == [0.0, 10.0], "it was good for long, and is not forgiven"


def test_without_a_limit_or_another_backend_nothing_is_ejected():
    for chosen in (group(1, 1), group(1, consecutive_5xx=1, max_ejection_percent=100)):
        assert [chosen.failed(chosen.backends[0], 0.0) for _ in range(20)] == [0.0] * 20


def test_when_all_are_ejected_they_are_tried_all_the_same_but_not_when_checks_failed():
    chosen = group(1, 1, consecutive_5xx=1, max_ejection_percent=100)
    for backend in chosen.backends:
        assert chosen.failed(backend, 0.0)
    assert chosen.choose(1.0) is not None
    assert not chosen.can_serve(1.0)
    for backend in chosen.backends:
        backend.checked(healthy=False)
    assert chosen.choose(1.0) is None


def test_a_backend_is_down_after_three_failed_checks_and_up_after_one():
    backend = Backend("b", NoPool(), b"")
    assert backend.checked(healthy=True) is False
    assert [backend.checked(healthy=False) for _ in range(3)] == [False, False, True]
    assert backend.checked(healthy=True) is True
    fresh = Backend("b", NoPool(), b"")
    assert fresh.checked(healthy=False) is True, "the first check counts at once"


@pytest.mark.parametrize(
    ("prefix", "path", "there"),
    [
        (None, "/v1/chat/completions", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions", "/v1/chat/completions"),
        ("/api/v1", "/v1/completions", "/api/v1/completions"),
        ("/compatible-mode", "/v1/completions", "/compatible-mode/completions"),
    ],
)
def test_the_path_of_an_address_stands_for_v1(prefix, path, there):
    assert Backend("b", NoPool(), b"", prefix=prefix).path(path) == there


@pytest.mark.parametrize(
    ("words", "failures", "statuses"),
    [
        ((), "", ()),
        (("connect-failure",), "connect", ()),
        (("refused-stream",), "", ()),
        (("reset-before-request",), "connect", ()),
        (("reset",), "connect closed garbage", ()),
        (("gateway-error",), "connect closed garbage", (502, 503, 504)),
        (("5xx",), "connect closed garbage", (500, 502, 503, 504, 599)),
    ],
)
def test_words_of_envoy(words, failures, statuses):
    every = ("busy", "connect", "timeout", "closed", "too_large", "garbage", "status")
    assert [one for one in every if retry.after_failure(words, one)] == failures.split()
    assert [one for one in (200, 400, 429, 500, 502, 503, 504, 599) if retry.after_status(words, one)] == list(statuses)


def test_retry_after_in_both_forms():
    assert retry.retry_after_sec("7") == 7.0
    assert 5 < retry.retry_after_sec(email.utils.formatdate(time.time() + 10, usegmt=True)) <= 10
    assert retry.retry_after_sec(email.utils.formatdate(0, usegmt=True)) == 0.0
    assert [retry.retry_after_sec(text) for text in (None, "", "soon", "-1", "1e9")] == [None] * 5


# -- retries


@in_loop
async def test_a_retry_goes_to_another_backend():
    async with engines(says(answer(503, b"no")), completes) as [bad, good]:
        rules = "retry_count: 1, retry_on: '5xx'"
        async with upstream(configuration([bad, good], reliability=rules)) as made:
            answers = [await made.call(call()) for _ in range(10)]
    assert {(one.status, one.backend) for one in answers} == {(200, "alpha-1")}
    assert len(bad.asked) == 5
    assert all(asked.json["model"] == "alpha-there" for asked in good.asked)


@in_loop
async def test_retries_are_counted_and_the_last_answer_is_given():
    async with engines(says(answer(500, b"sorry"))) as [bad]:
        async with upstream(configuration([bad], reliability="retry_count: 3, retry_on: '5xx'")) as made:
            last = await made.call(call())
        assert (last.status, last.body, len(bad.asked)) == (500, b"sorry", 4)
        async with upstream(configuration([bad], reliability="retry_count: 3")) as made:
            await made.call(call())
        assert len(bad.asked) == 5, "connect-failure is the default, and this was none"


@in_loop
async def test_what_cannot_be_connected_is_retried_by_default():
    async with engines(completes) as [good]:
        async with upstream(configuration([1, good], reliability="retry_count: 1")) as made:
            assert {(await made.call(call())).status for _ in range(6)} == {200}
        async with upstream(configuration([1, good])) as made:
            found = await asyncio.gather(made.call(call()), made.call(call()), return_exceptions=True)
            assert [one.failure for one in found if isinstance(one, CallFailed)] == ["connect"]


@in_loop
async def test_nothing_is_retried_after_the_first_byte():
    async def half(asked, writer):
        writer.write(EVENTS + chunk(piece("half")))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()

    async with engines(half, half) as both:
        rules = "retry_count: 5, retry_on: '5xx,reset,connect-failure'"
        async with router(configuration(both, reliability=rules)) as running:
            status, _, body = await running.post(BODY | {"model": "alpha", "stream": True})
        assert status == 200
        assert body.startswith(piece("half"))
        assert b'"code":"upstream_closed"' in body
        assert sum(len(engine.asked) for engine in both) == 1


@in_loop
async def test_retry_after_is_waited_for_if_short_and_passed_on_if_long():
    replies = iter([answer(503, b"", ["retry-after: 1"]), answer(200, b"{}"), answer(503, b"", ["retry-after: 60"])])

    async def script(asked, writer):
        writer.write(next(replies))

    rules = "retry_count: 2, retry_on: '5xx'"
    async with engines(script) as [engine], upstream(configuration([engine], reliability=rules)) as made:
        begun = time.monotonic()
        assert (await made.call(call())).status == 200
        assert time.monotonic() - begun >= 1
        last = await made.call(call())
        assert (last.status, last.headers["retry-after"]) == (503, "60")
    assert len(engine.asked) == 3


@in_loop
async def test_who_asks_for_rest_is_left_alone_while_there_are_others():
    tired = says(answer(429, b"", ["retry-after: 30"]))
    async with engines(tired, completes) as both, upstream(configuration(both)) as made:
        statuses = Counter([(await made.call(call())).status for _ in range(10)])
    assert statuses == {429: 1, 200: 9}


@in_loop
async def test_a_connection_that_the_backend_closed_meanwhile_is_no_failure():
    async with engines(says(answer(), close=True)) as [engine], upstream(configuration([engine])) as made:
        assert [(await made.call(call())).status for _ in range(3)] == [200] * 3
    assert engine.connections >= 3


@in_loop
async def test_connections_are_kept_and_given_up_after_a_while(monkeypatch):
    async with engines(completes) as [engine], upstream(configuration([engine])) as made:
        for _ in range(20):
            await made.call(call())
        assert engine.connections <= 2  # one of them was the probe at the start
        monkeypatch.setattr(pool, "MAX_IDLE_SEC", 0.1)
        await eventually(lambda: engine.open_connections == 0)


@in_loop
async def test_a_kept_connection_never_carries_bytes_from_one_answer_into_the_next():
    poison = answer(200, b'"mine"') + answer(200, b'"not yours"')
    async with engines(says(poison)) as [engine], upstream(configuration([engine])) as made:
        for _ in range(5):
            assert (await made.call(call())).body == b'"mine"'
            await asyncio.sleep(0.01)


@in_loop
async def test_answers_beyond_the_limit_are_cut_off():
    async def huge(asked, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(chunk(b"x" * 65536))
            await writer.drain()

    more = "global: {integrations: {looper: {max_response_bytes_mb: 1}}}\n"
    for script in (huge, says(answer(200, b"x" * (1 << 20) + b"y"))):
        async with engines(script) as [engine], upstream(configuration([engine], more=more)) as made:
            with pytest.raises(CallFailed) as error:
                await made.call(call())
            assert error.value.failure == "too_large"
            await eventually(lambda engine=engine: engine.open_connections == 0)


@in_loop
async def test_trailers_without_end_are_cut_off():
    async def script(asked, writer):
        writer.write(EVENTS + chunk(b"x") + b"0\r\n")
        while True:
            writer.write(b"x: y\r\n" * 1000)
            await writer.drain()

    async with engines(script) as [engine], upstream(configuration([engine])) as made:
        with pytest.raises(CallFailed) as error:
            await made.call(call())
        assert error.value.failure == "garbage"
    assert connection.MAX_QUIET_BYTES < 1 << 20


@in_loop
async def test_a_call_has_its_time_and_no_more():
    async def slow(asked, writer):
        writer.write(EVENTS)
        for _ in range(100):
            writer.write(chunk(piece("slow")))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with engines(slow) as [engine], upstream(configuration([engine])) as made:
        with pytest.raises(CallFailed) as error:
            await made.call(call(timeout_sec=0.3))
        assert error.value.failure == "timeout"
        await eventually(lambda: engine.open_connections == 0)


@in_loop
async def test_cancelling_a_call_closes_its_connection():
    async def never(asked, writer):
        await asyncio.sleep(3600)

    async with engines(never) as [engine], upstream(configuration([engine])) as made:
        task = asyncio.create_task(made.call(call()))
        await eventually(lambda: engine.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: engine.open_connections == 0)
        assert made.groups["alpha"].backends[0].active == 0


@in_loop
async def test_leaving_a_stream_closes_its_connection_and_reading_it_to_the_end_keeps_it():
    async with engines(completes) as [engine], upstream(configuration([engine])) as made:
        streamed = Call(model="alpha", body=BODY | {"stream": True}, timeout_sec=5)
        async with made.stream(streamed) as answered:
            data = b"".join([data async for data in answered.chunks()])
        assert data.endswith(b"[DONE]\n\n")
        assert made.groups["alpha"].backends[0].pool.idle == 1

    async def stays(asked, writer):
        writer.write(EVENTS + chunk(piece("first")))
        await asyncio.sleep(3600)

    async with engines(stays) as [engine], upstream(configuration([engine])) as made:
        async with made.stream(streamed) as answered:
            assert await anext(aiter(answered.chunks())) == piece("first")
        await eventually(lambda: engine.open_connections == 0)
        assert made.groups["alpha"].backends[0].active == made.groups["alpha"].backends[0].pool.idle == 0


# -- ejection, health, load


@in_loop
async def test_ejection_and_recovery():
    async with engines(says(answer(500)), completes) as [bad, good]:
        rules = "consecutive_5xx: 2, base_ejection_time: 300ms"
        async with router(configuration([bad, good], reliability=rules)) as running:
            statuses = [(await running.post(BODY | {"model": "alpha"}))[0] for _ in range(12)]
            assert statuses.count(500) == 2
            assert running.log.of("ejected") == [{"model": "alpha", "backend": "alpha-0", "seconds": 0.3}]
            bad.script = completes
            await asyncio.sleep(0.35)
            before = len(bad.asked)
            assert {(await running.post(BODY | {"model": "alpha"}))[0] for _ in range(6)} == {200}
            assert len(bad.asked) > before, "it was not taken back"


@in_loop
async def test_health_checks_keep_requests_away_and_let_them_back():
    async def ill(asked, writer):
        writer.write(answer(500 if asked.method == "GET" else 200))

    rules = "health_check_path: /health, health_check_interval: 50ms, health_check_timeout: 200ms"
    async with engines(ill, completes) as [one, two], router(configuration([one, two], reliability=rules)) as running:
        assert {(await running.post(BODY | {"model": "alpha"}))[0] for _ in range(6)} == {200}
        assert one.asked == []
        one.script = completes
        await eventually(lambda: running.log.of("backend_up"))
        for _ in range(4):
            await running.post(BODY | {"model": "alpha"})
        assert one.asked
        one.script = two.script = ill
        await eventually(lambda: len(running.log.of("backend_down")) == 3)
        status, _, body = await running.post(BODY | {"model": "alpha"})
        assert status == 503
        assert b"health checks" in body
        assert (await running.get("/ready"))[0] == 503


FUSION = """routing:
  decisions:
    - name: panel
      priority: 1
      algorithm: {type: fusion, fusion: {model: gamma, analysis_models: [alpha, beta]}}
      annotations: {tandem: {max_waiting_requests: 5}}
"""
METRICS = b"""# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 4.0
vllm:num_requests_waiting_by_reason{engine="0"} 100.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
"""


@in_loop
async def test_the_load_of_panel_members_is_that_of_the_least_loaded_backend():
    async def busy(asked, writer):
        assert asked.path == "/metrics"
        writer.write(answer(200, METRICS))

    idle = says(answer(200, b"vllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"))
    async with engines(busy, idle, says(b"", close=True)) as [one, two, three]:
        text = configuration([one, two], [three], [1], more=FUSION)
        async with upstream(text) as made:
            await eventually(lambda: made.load("alpha").waiting_requests == 1)
            assert made.load("alpha") == Load(waiting_requests=1, kv_cache_usage=0.5)
            assert made.load("beta") == made.load("gamma") == made.load("nobody") == Load()
            assert made.can_serve("alpha")
            assert not made.can_serve("gamma")
            assert not made.can_serve("nobody")


def test_metrics_of_vllm_are_read():
    assert loads.parse(METRICS) == Load(waiting_requests=7, kv_cache_usage=0.75)
    assert loads.parse(b"") == loads.parse(b"vllm:num_requests_waiting NaN\n") == Load()
    old = [loads.Measured(Load(waiting_requests=0), 0.0), loads.Measured(Load(waiting_requests=9), 99.0)]
    assert loads.least(old, 100.0) == Load(waiting_requests=9)


@given(st.binary(max_size=200))
def test_metrics_may_be_anything(data):
    loads.parse(b"vllm:num_requests_waiting " + data)
    loads.parse(data)


# -- keys


def test_keys_come_from_credentials_before_the_environment(tmp_path):
    (tmp_path / "KEY").write_text("from-file\n")
    found = keys.Keys({"CREDENTIALS_DIRECTORY": str(tmp_path), "KEY": "from-environment", "OTHER": "x"})
    assert (found.find("KEY"), found.find("OTHER"), found.find("NONE")) == ("from-file", "x", None)
    (tmp_path / "KEY").write_bytes(b"two\nlines")
    with pytest.raises(TandemError, match="KEY is no key") as error:
        found.find("KEY")
    assert "lines" not in str(error.value)


def test_the_line_of_a_missing_key_is_named():
    text = configuration([1], keys=', api_keys: ["${MISSING}"]', extra=", api_key_env: MISSING_TOO")
    config = load(text.encode()).config
    with pytest.raises(TandemError) as error:
        keys.check(config, keys.Keys({}), "router.yaml", text)
    assert str(error.value).startswith("MISSING (router.yaml:2), MISSING_TOO (router.yaml:9) are not set; ")


@in_loop
async def test_many_at_once_share_the_backends_evenly():
    async def soon(asked, writer):
        await asyncio.sleep(0.01)
        writer.write(answer())

    async with engines(soon, soon, soon) as three:
        async with upstream(configuration(three, reliability="lb_policy: least_request")) as made:
            await asyncio.gather(*(made.call(call()) for _ in range(300)))
        assert max(len(engine.asked) for engine in three) - min(len(engine.asked) for engine in three) <= 3
        assert isinstance(three[0], Engine)
