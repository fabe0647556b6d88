"""Fusion over real connections: scripted engines, the router on a port, the official client."""

import asyncio
import json

import openai
import pytest
from router_server import (
    COMPLETION,
    EVENTS,
    answer,
    chunk,
    configuration,
    engines,
    eventually,
    in_loop,
    piece,
    request,
    router,
)

from tandem.router.calls import Route
from tandem.router.config.load import load

MORE = """routing:
  decisions:
    - name: panel
      priority: 1
      algorithm:
        type: fusion
        fusion: {model: gamma, analysis_models: [alpha, beta]%s}
      annotations: {tandem: {%s}}
"""
ASK = {"model": "vllm-sr/fusion", "messages": [{"role": "user", "content": "why?"}]}
ANALYSIS = {"consensus": ["both"], "blind_spots": []}


def says(text, after=0.0):
    async def script(asked, writer):
        await asyncio.sleep(after)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        writer.write(answer(body=json.dumps(COMPLETION | {"choices": [choice]}).encode()))

    return script


async def never(asked, writer):
    await asyncio.sleep(1000)


async def judges(asked, writer):
    """Analyse, then answer: in pieces where that is asked for."""
    if "JSON object" in asked.json["messages"][-1]["content"]:
        await says(json.dumps(ANALYSIS))(asked, writer)
    elif asked.json.get("stream"):
        writer.write(EVENTS)
        for text in ("one ", "two ", "three"):
            writer.write(chunk(piece(text)))
            await writer.drain()
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": COMPLETION["usage"]}
        for document in (end, usage):
            writer.write(chunk(b"data: %b\n\n" % json.dumps(document).encode()))
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    else:
        await says("one two three")(asked, writer)


class ToPanel:
    def __init__(self, text):
        self.decision = load(text.encode()).config.routing.decisions[0]

    async def route(self, body, path):
        return Route(models=self.decision.panel, decision=self.decision)


def served(alpha, beta, gamma, fusion="", limits=""):
    text = configuration([alpha], [beta], [gamma], more=MORE % (fusion, limits))
    return router(text, routing=ToPanel(text))


@in_loop
async def test_the_official_client_gets_a_fused_answer():
    async with (
        engines(says("blue"), says("it is blue"), judges) as (alpha, beta, gamma),
        served(alpha, beta, gamma) as running,
        openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="x") as client,
    ):
        got = await client.chat.completions.create(**ASK)
        assert got.choices[0].message.content == "one two three"
        assert got.usage.total_tokens == 8
        assert got.fusion["analysis"]["consensus"] == ["both"]
        assert [call["outcome"] for call in got.fusion["tandem"]["calls"]] == ["answered"] * 4

        stream = await client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
        chunks = [part async for part in stream]
        text = "".join(part.choices[0].delta.content or "" for part in chunks if part.choices)
        assert text == "one two three"
        assert chunks[-1].usage.total_tokens == 8
        assert chunks[-2].fusion["responses"][1] == {"model": "beta", "content": "it is blue"}
        assert alpha.asked[0].json["model"] == "alpha-there"
        assert alpha.asked[0].headers["x-tandem-fusion-depth"] == "1"
        records = [event["fusion"] for event in running.log.of("request")]
        assert [record["outcome"] for record in records] == ["answered", "answered"]
        _, _, metrics = await running.get("/metrics")
        assert (
            b'llm_looper_attempts_total{algorithm="fusion",reason="answered",stage="panel",status="usable"} 4.0'
            in metrics
        )


@in_loop
async def test_members_that_are_not_needed_lose_their_connection():
    async with (
        engines(says("blue"), never, judges) as (alpha, beta, gamma),
        served(alpha, beta, gamma, ", min_successful_responses: 1") as running,
    ):
        status, _, body = await running.post(ASK)
        assert status == 200
        assert json.loads(body)["fusion"]["tandem"]["calls"][1]["cancelled_by"] == "quorum_met"
        await eventually(lambda: beta.open_connections == 0)


@in_loop
async def test_a_client_that_leaves_takes_every_call_with_it():
    async with engines(never, never, judges) as (alpha, beta, gamma), served(alpha, beta, gamma) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request(json.dumps(ASK).encode()))
        await eventually(lambda: alpha.open_connections and beta.open_connections)
        writer.close()
        await eventually(lambda: not alpha.open_connections and not beta.open_connections)
        await eventually(lambda: running.log.of("request"))
        (record,) = running.log.of("fusion_cancelled")
        assert [(call["model"], call["cancelled_by"]) for call in record["calls"]] == [
            ("alpha", "client"),
            ("beta", "client"),
        ]


@in_loop
async def test_what_a_listeners_timeout_ended_is_logged_with_its_calls():
    async with engines(says("blue"), never, judges) as (alpha, beta, gamma):
        text = configuration([alpha], [beta], [gamma], timeout="1s", more=MORE % ("", ""))
        async with router(text, routing=ToPanel(text)) as running:
            status, _, _ = await running.post(ASK)
        assert status == 504
        (record,) = running.log.of("fusion_cancelled")
        assert [call["outcome"] for call in record["calls"]] == ["answered", "cancelled"]


@in_loop
async def test_a_refusal_is_an_error_of_the_api_and_its_record_is_logged():
    async with (
        engines(says(""), says("blue"), judges) as (alpha, beta, gamma),
        served(alpha, beta, gamma) as running,
        openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="x", max_retries=0) as client,
    ):
        with pytest.raises(openai.APIStatusError) as failed:
            await client.chat.completions.create(**ASK)
        assert (failed.value.status_code, failed.value.code) == (502, "fusion_quorum_failed")
        (logged,) = running.log.of("request")
        assert [call["outcome"] for call in logged["fusion"]["calls"]] == ["empty", "answered"]


@in_loop
async def test_a_fusion_in_a_fusion_is_refused():
    async with engines(says("a"), says("b"), judges) as (alpha, beta, gamma), served(alpha, beta, gamma) as running:
        status, _, body = await running.post(ASK, headers=["x-tandem-fusion-depth: 1"])
        assert status == 400
        assert json.loads(body)["error"]["code"] == "fusion_recursion"
        assert alpha.asked == []


@in_loop
async def test_a_wall_budget_over_real_connections():
    async with (
        engines(says("blue"), says("it is blue"), never) as (alpha, beta, gamma),
        served(alpha, beta, gamma, limits="max_wall_seconds: 0.5") as running,
    ):
        status, headers, body = await running.post(ASK)
        assert status == 200
        assert json.loads(body)["choices"][0]["message"]["content"] == "blue"
        assert headers["x-tandem-fusion-degraded"] == "analysis_failed,synthesis_failed"
