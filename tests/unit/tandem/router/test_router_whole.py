"""Routing, fusion and the server together, as `tandem router serve` has them, in front of scripted engines."""

from __future__ import annotations

import asyncio
import json

import openai
from router_server import COMPLETION, answer, chunk, configuration, engines, in_loop, piece, router

from tandem.router.fusion.recursion import OUTGOING

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ANALYSIS = {name: [] for name in ("contradictions", "partial_coverage", "unique_insights", "blind_spots")}
MORE = """routing:
  signals:
    keywords:
      - {name: prove, operator: OR, keywords: [prove]}
      - {name: code, operator: OR, keywords: [python]}
  decisions:
    - name: careful
      priority: 10
      rules: {operator: OR, conditions: [{type: keyword, name: prove}]}
      modelRefs: [{model: alpha}, {model: beta}]
      algorithm: {type: fusion, fusion: {model: gamma, min_successful_responses: 1}}
      annotations: {tandem: {panel_grace_seconds: 0.2, max_upstream_calls: 4}}
    - name: code
      priority: 5
      rules: {operator: OR, conditions: [{type: keyword, name: code}]}
      modelRefs: [{model: beta}]
"""


def says(text, *, after_sec=0.0):
    """Return an engine that answers with this text, or as the judge with an analysis."""

    async def script(asked, writer):
        if asked.method == "GET":
            writer.write(answer())
            return
        await asyncio.sleep(after_sec)
        if asked.json.get("stream"):
            writer.write(EVENTS)
            for word in text.split(" "):
                writer.write(chunk(piece(word + " ")))
                await writer.drain()
            end = {"index": 0, "delta": {}, "finish_reason": "stop"}
            writer.write(chunk(piece("", choices=[end])) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            return
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        writer.write(answer(body=json.dumps(COMPLETION | {"choices": [choice]}).encode()))

    return script


def client_of(running):
    return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="none", max_retries=0)


HELLO = [{"role": "user", "content": "prove that it holds"}]


@in_loop
async def test_a_word_leads_to_a_model_and_another_to_the_panel():
    judge = says(json.dumps({"consensus": ["it holds"], **ANALYSIS}))
    async with engines(says("A says"), says("B says"), judge) as (alpha, beta, gamma):
        async with router(configuration([alpha], [beta], [gamma], more=MORE)) as running, client_of(running) as client:
            ask = client.chat.completions.with_raw_response.create
            raw = await ask(model="auto", messages=[{"role": "user", "content": "a python question"}])
            assert raw.headers["x-vsr-selected-decision"] == "code"
            assert raw.parse().choices[0].message.content == "B says"

            raw = await ask(model="auto", messages=HELLO)
            assert raw.headers["x-vsr-selected-decision"] == "careful"
            fused = raw.parse()
            assert {each["model"] for each in fused.fusion["responses"]} == {"alpha", "beta"}
            assert fused.fusion["analysis"]["consensus"] == ["it holds"]
            assert fused.usage.total_tokens == 2 * 4
        assert len(gamma.asked) == 2


@in_loop
async def test_a_slow_member_is_cancelled_and_the_synthesis_is_streamed():
    scripts = says("A says"), says("B", after_sec=30), says("the answer is here")
    async with engines(*scripts) as started:
        _, beta, _ = started
        text = configuration(*([one] for one in started), more=MORE)
        async with router(text) as running, client_of(running) as client:
            pieces = []
            async for event in await client.chat.completions.create(
                model="vllm-sr/fusion", messages=HELLO, stream=True
            ):
                pieces += [choice.delta.content or "" for choice in event.choices]
            assert "".join(pieces).strip() == "the answer is here"
            assert sum(bool(text) for text in pieces) > 2
            for _ in range(50):
                if beta.open_connections == 0:
                    break
                await asyncio.sleep(0.02)
            assert beta.open_connections == 0


@in_loop
async def test_what_a_fusion_sends_is_refused_where_it_comes_back():
    async with engines(says("A"), says("B"), says("C")) as (alpha, beta, gamma):
        async with router(configuration([alpha], [beta], [gamma], more=MORE)) as running:
            headers = [f"{name}: {value}" for name, value in OUTGOING.items()]
            status, _, body = await running.post({"model": "alpha", "messages": HELLO}, headers=headers)
            assert status in (400, 508), body
            assert json.loads(body)["error"]["code"] == "fusion_recursion"
        assert alpha.asked == []


@in_loop
async def test_metrics_show_signals_decisions_and_panels():
    async with engines(says("A says"), says("B says"), says("no analysis")) as started:
        text = configuration(*([one] for one in started), more=MORE)
        async with router(text) as running:
            assert (await running.post({"model": "auto", "messages": HELLO}))[0] == 200
            shown = (await running.get("/metrics"))[2].decode()
    for line in (
        'llm_signal_match_total{signal_name="prove",signal_type="keyword"} 1.0',
        'llm_decision_match_total{decision_name="careful"} 1.0',
        'llm_looper_attempts_total{algorithm="fusion",reason="answered",stage="panel",status="usable"} 2.0',
        'llm_looper_attempt_tokens_total{algorithm="fusion",stage="panel",token_type="completion"} 2.0',
        'llm_looper_attempts_total{algorithm="fusion",reason="answered",stage="synthesis",status="usable"} 1.0',
    ):
        assert line in shown, shown


@in_loop
async def test_metrics_show_a_panel_below_its_quorum_and_its_members():
    down = answer(status=500, reason="Internal Server Error")

    async def fails(asked, writer):
        writer.write(answer() if asked.method == "GET" else down)

    async with engines(says("A says"), fails, says("no analysis")) as started:
        text = configuration(
            *([one] for one in started), more=MORE.replace("min_successful_responses: 1", "on_error: skip")
        )
        async with router(text) as running:
            assert (await running.post({"model": "auto", "messages": HELLO}))[0] == 502
            shown = (await running.get("/metrics"))[2].decode()
    for line in (
        'llm_fusion_quorum_failure_total{decision="careful",disposition="quorum_failed",policy="fail"} 1.0',
        'llm_fusion_panel_attempt_total{decision="careful",state="failed"} 1.0',
        'llm_fusion_quorum_required_responses_sum{decision="careful"} 2.0',
    ):
        assert line in shown, shown
