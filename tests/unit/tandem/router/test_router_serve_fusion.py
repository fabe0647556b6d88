"""What fusion says, on its way to clients: with a stand-in for fusion itself."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from router_server import COMPLETION, completes, configuration, engines, eventually, in_loop, request, router

from tandem.router.calls import CallFailed, Finished, Piece, Progress, Refused, Route

MORE = """routing:
  decisions:
    - name: panel
      priority: 1
      algorithm: {type: fusion, fusion: {model: alpha, analysis_models: [alpha, beta], min_successful_responses: 1}}
"""
ASK = {"model": "vllm-sr/fusion", "messages": [{"role": "user", "content": "hi"}]}
FUSION = {"analysis": {}, "responses": [{"model": "alpha", "content": "x"}], "judge_model": "alpha"}
WHOLE = COMPLETION | {"fusion": FUSION}


def part(text, finish=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return Piece({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


class ToPanel:
    def __init__(self, config):
        self.decision = config.routing.decisions[0]

    async def route(self, body, path):
        return Route(
            models=("alpha", "beta"),
            decision=self.decision,
            signals=("keyword:code", "keyword:two", "context:long"),
            degraded={"embedding:help": "no model"},
            timings_sec={"keyword": 0.001},
        )


class Scripted:
    """Yields events; exceptions are raised."""

    def __init__(self, *events):
        self.events, self.closed, self.stream = events, False, None

    async def run(self, route, body, *, stream):
        self.stream = stream
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, asyncio.Event):
                    await event.wait()
                else:
                    yield event
        finally:
            self.closed = True


def fused(*events):
    text = configuration([1], [1], more=MORE)
    from tandem.router.config.load import load

    fuse = Scripted(*events)
    return fuse, router(text, fuse=fuse, routing=ToPanel(load(text.encode()).config))


PROGRESS = Progress("panel.member", {"model": "alpha", "outcome": "answered\nby: me"})
END = Finished(completion=WHOLE, record={"calls": 3}, headers={"x-vsr-inference-call-count": "3"})


@in_loop
async def test_a_whole_answer_has_its_fusion_and_its_headers():
    fuse, serving = fused(PROGRESS, END)
    async with serving as running:
        status, headers, body = await running.post(ASK, headers=["x-vsr-debug: true"])
    assert (status, json.loads(body), fuse.stream, fuse.closed) == (200, WHOLE, False, True)
    expected = {
        "x-vsr-selected-model": "alpha",
        "x-vsr-selected-decision": "panel",
        "x-vsr-selected-algorithm": "fusion",
        "x-vsr-inference-call-count": "3",
        "x-vsr-matched-keywords": "code,two",
        "x-vsr-matched-context": "long",
        "x-vsr-degraded": "embedding:help",
        "x-vsr-keyword-seconds": "0.001000",
    }
    assert expected.items() <= headers.items()
    assert running.log.of("request")[0]["fusion"] == {"calls": 3}


@in_loop
async def test_the_official_client_reads_a_fused_stream_and_does_not_see_progress():
    for options, usage in ((openai.omit, False), ({"include_usage": True}, True)):
        _, serving = fused(PROGRESS, Progress("judge.begin", {}), part("a"), part("b", "stop"), END)
        async with (
            serving as running,
            openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="none", max_retries=0) as ai,
        ):
            stream = await ai.chat.completions.create(**ASK, stream=True, stream_options=options)
            chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "ab"
        assert [chunk.fusion for chunk in chunks if getattr(chunk, "fusion", None)] == [FUSION]
        assert [bool(chunk.usage) for chunk in chunks] == [False] * 3 + [True] * usage
        assert all(chunk.choices for chunk in chunks[:3])


@in_loop
async def test_progress_comes_before_the_answer_as_comments_of_one_line():
    waiting = asyncio.Event()
    _, serving = fused(PROGRESS, waiting, part("a"), END)
    async with serving as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request(json.dumps(ASK | {"stream": True}).encode()))
        found = await reader.readuntil(b"\n\n")
        line = found.split(b"\r\n")[-1]
        assert line == b': panel.member {"model":"alpha","outcome":"answered\\nby: me"}\n\n'
        waiting.set()
        rest = await reader.read()
        assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        writer.close()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(Refused(503, "quorum", "too few"), 503, "quorum"), (CallFailed("timeout", "late"), 504, "upstream_timeout")],
)
@in_loop
async def test_a_failure_is_a_status_before_the_first_byte_and_an_event_after_it(error, status, code):
    for stream in (False, True):
        fuse, serving = fused(error)
        async with serving as running:
            found, _, body = await running.post(ASK | {"stream": stream})
        assert (found, json.loads(body)["error"]["code"], fuse.closed) == (status, code, True)
    fuse, serving = fused(PROGRESS, part("a"), error)
    async with serving as running:
        found, _, body = await running.post(ASK | {"stream": True})
    assert found == 200
    assert json.loads(body.decode().rsplit("data: ", 1)[1])["error"]["code"] == code
    assert b"[DONE]" not in body
    assert fuse.closed


@in_loop
async def test_a_client_that_leaves_closes_the_fusion():
    for first in ((), (PROGRESS,)):
        fuse, serving = fused(*first, asyncio.Event())
        async with serving as running:
            _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(request(json.dumps(ASK | {"stream": True}).encode()))
            await eventually(lambda fuse=fuse: fuse.stream)
            await asyncio.sleep(0.05)
            writer.close()
            await eventually(lambda fuse=fuse: fuse.closed)


@in_loop
async def test_a_defect_is_told_and_not_more():
    _, serving = fused(ZeroDivisionError("secret detail"))
    async with serving as running:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        status, _, body = await running.post(ASK)
    assert (status, json.loads(body)["error"]["code"]) == (500, "internal_error")
    assert b"secret" not in body


class TwoModels:
    async def route(self, body, path):
        return Route(models=("alpha", "beta"))


@in_loop
async def test_of_several_models_the_first_that_can_serve():
    async with engines(completes) as [engine]:
        async with router(configuration([1], [engine]), routing=TwoModels()) as running:
            status, headers, _ = await running.post(ASK)
        assert (status, headers["x-vsr-selected-model"]) == (200, "beta")
        async with router(configuration([1], [1]), routing=TwoModels()) as running:
            assert (await running.post(ASK))[0] == 503
