"""A panel that answers: the stages, the answer, the record, the stream."""

import asyncio
import json

import pytest
from fusion_stand_ins import BODY, NEVER, Says, ask, config, panel

from tandem.router.calls import CallFailed, Progress


def test_the_answer_is_a_completion_with_the_fusion_in_it():
    upstream = panel()
    told = ask(upstream)
    completion = told.completion
    assert completion["object"] == "chat.completion"
    assert completion["id"].startswith("chatcmpl-fusion-")
    assert completion["model"] == "judge"
    assert completion["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Blue light scatters most ."}, "finish_reason": "stop"}
    ]
    assert completion["usage"] == {"prompt_tokens": 130, "completion_tokens": 35, "total_tokens": 165}
    fusion = completion["fusion"]
    assert fusion["analysis"] == {
        "consensus": ["both agree"],
        "contradictions": [],
        "partial_coverage": [],
        "unique_insights": [],
        "blind_spots": ["the rest"],
        "parse_failed": False,
    }
    assert fusion["responses"] == [
        {"model": "a", "content": "the sky is blue"},
        {"model": "b", "content": "blue it is, the sky"},
    ]
    assert fusion["failed_models"] == []
    assert (fusion["judge_model"], fusion["analysis_models"]) == ("judge", ["a", "b"])
    assert fusion["prompt_version"] == "fusion-v1"
    assert "degraded" not in fusion
    assert told.finished.headers == {}
    assert [seen.stage for seen in upstream.seen] == ["panel", "panel", "judge", "synthesis"]


def test_what_judge_and_synthesis_are_told():
    upstream = panel()
    ask(upstream)
    judge, synthesis = upstream.seen[2], upstream.seen[3]
    assert judge.call.body["messages"][:2] == synthesis.call.body["messages"][:2] == BODY["messages"]
    for prompt in (judge.prompt, synthesis.prompt):
        assert "why?" in prompt
        assert "Response 1 (a):\nthe sky is blue\n\nResponse 2 (b):\nblue it is, the sky" in prompt
    assert "both agree" in synthesis.prompt
    assert "JSON" in judge.prompt


def test_the_wall_time_is_that_of_the_slowest_member_judge_and_synthesis():
    told = ask(panel())
    assert told.ended_at == pytest.approx(2.0 + 0.5 + 0.7)
    record = told.finished.record
    assert record["wall_sec"] == pytest.approx(3.2)
    assert record["stages_sec"] == pytest.approx({"panel": 2.0, "judge": 0.5, "synthesis": 0.7})


def test_a_member_that_is_slow_to_let_go_holds_nobody_up():
    upstream = panel(c=Says(after=NEVER, slow_to_close=5.0))
    told = ask(upstream, config({"min_successful_responses": 2}, panel=("a", "b", "c")))
    assert told.at[-1] == pytest.approx(3.2)


def test_the_record_of_each_call():
    told = ask(panel())
    calls = told.fusion["tandem"]["calls"]
    assert [(call["stage"], call["model"]) for call in calls] == [
        ("panel", "a"),
        ("panel", "b"),
        ("judge", "judge"),
        ("synthesis", "judge"),
    ]
    assert calls[1] == {
        "stage": "panel",
        "model": "b",
        "outcome": "answered",
        "started_sec": 0.0,
        "latency_sec": 2.0,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost": 0.00006,
        "cost_is": "measured",
        "currency": "EUR",
        "finish_reason": "stop",
    }
    record = told.finished.record
    assert record["calls"][1]["backend"] == "b:8000"
    assert record["cost"] == pytest.approx(0.00006 * 3 + 0.0003)
    assert (record["currency"], record["cost_is"], record["upstream_calls"]) == ("EUR", "measured", 4)
    assert (record["outcome"], record["decision"]) == ("answered", "panel")
    assert told.notes.requests[0].document() == record
    assert [call.model for call in told.notes.calls] == ["a", "b", "judge", "judge"]


def test_without_prices_there_is_no_cost():
    told = ask(panel(), config(prices=False))
    assert "cost" not in told.finished.record
    assert all("cost" not in call for call in told.finished.record["calls"])


def test_progress_comes_before_the_answer():
    told = ask(panel(), stream=True)
    names = [event.name if isinstance(event, Progress) else type(event).__name__ for event in told.events]
    assert names == [
        *("panel.started", "panel.member", "panel.member", "panel.done"),
        *("judge.started", "judge.done", "synthesis.started"),
        *(["Piece"] * 7),
        "Finished",
    ]
    assert told.events[0].data == {"members": ["a", "b"], "quorum": 2, "left_out": []}
    assert told.events[1].data["model"] == "a"
    assert told.events[5].data["parsed"] is True


def test_a_stream_comes_token_by_token_under_one_id():
    upstream = panel()
    told = ask(upstream, stream=True)
    pieces = told.pieces
    assert {piece["id"] for piece in pieces} == {told.completion["id"]}
    assert {(piece["object"], piece["model"]) for piece in pieces} == {("chat.completion.chunk", "judge")}
    assert pieces[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces) == told.content
    assert pieces[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("usage" not in piece for piece in pieces)
    times = [at for at, event in zip(told.at, told.events, strict=True) if type(event).__name__ == "Piece"]
    assert times[0] < times[2] < times[4]
    assert told.completion["usage"] == {"prompt_tokens": 130, "completion_tokens": 35, "total_tokens": 165}
    assert [seen.streamed for seen in upstream.seen] == [False, False, False, True]
    record = told.finished.record
    assert record["first_token_sec"] == pytest.approx(2.5 + 0.7 + 0.1)
    assert record["calls"][-1]["first_token_sec"] == pytest.approx(0.8)


def test_one_call_and_none_have_no_analysis():
    for mode in ("one_call", "none"):
        upstream = panel()
        told = ask(upstream, config({"analysis_mode": mode}))
        assert [seen.stage for seen in upstream.seen] == ["panel", "panel", "synthesis"]
        assert "analysis" not in told.fusion
        assert told.ended_at == pytest.approx(2.7)


def test_templates_have_upstreams_placeholders():
    fusion = {
        "analysis_template": "judge their answers: {{original}} | {{responses}} | {{analysis}} | {{other}}",
        "synthesis_template": "final answer: {{original}} | {{analysis}} | {{ original }}",
    }
    upstream = panel(a=Says("say {{analysis}}"))
    ask(upstream, config(fusion))
    assert upstream.seen[2].prompt == (
        "judge their answers: why? | Response 1 (a):\nsay {{analysis}}\n\nResponse 2 (b):\nblue it is, the sky"
        " |  | {{other}}"
    )
    assert upstream.seen[3].prompt.startswith('final answer: why? | {\n  "consensus": [')
    assert upstream.seen[3].prompt.endswith("| {{ original }}")


def test_what_is_not_to_be_shown_is_not():
    told = ask(panel(), config({"include_analysis": False}))
    assert "analysis" not in told.fusion
    told = ask(panel(), config({"include_intermediate_responses": False}))
    assert "responses" not in told.fusion
    hidden = {"include_analysis": False, "include_intermediate_responses": False}
    told = ask(panel(), config(hidden))
    assert "fusion" not in told.completion
    assert told.finished.record["calls"]
    broken = panel(b=Says(status=500))
    assert "fusion" in ask(broken, config({**hidden, "min_successful_responses": 1})).completion


def test_settings_of_the_panel_and_of_the_judge():
    fusion = {
        "temperature": 0.2,
        "max_completion_tokens": 300,
        "analysis_overrides": [{"model": "a", "temperature": 0.9, "max_completion_tokens": 100}],
    }
    upstream = panel()
    ask(upstream, config(fusion), {**BODY, "max_tokens": 50, "temperature": 1.0})
    found = [
        (seen.call.body["temperature"], seen.call.body["max_completion_tokens"], "max_tokens" in seen.call.body)
        for seen in upstream.seen
    ]
    assert found == [(0.9, 100, False), (0.2, 300, False), (0.2, 300, False), (0.2, 50, False)]


def test_the_clients_settings_hold_where_the_decision_has_none():
    upstream = panel()
    ask(upstream, None, {**BODY, "max_tokens": 50, "temperature": 1.0, "seed": 7})
    bodies = [seen.call.body for seen in upstream.seen]
    assert [body.get("max_completion_tokens") for body in bodies] == [50, 50, None, 50]
    assert all(body["temperature"] == 1.0 and body["seed"] == 7 for body in bodies)


def test_no_more_than_max_concurrent_at_once():
    upstream = panel()
    told = ask(upstream, config({"max_concurrent": 1}, panel=("a", "b", "c")))
    assert [seen.at for seen in upstream.seen[:3]] == pytest.approx([0.0, 1.0, 3.0])
    assert told.ended_at == pytest.approx(6 + 1.2)


def test_who_is_not_needed_is_not_asked():
    upstream = panel()
    told = ask(upstream, config({"max_concurrent": 2, "min_successful_responses": 1}, panel=("a", "b", "c")))
    assert told.outcomes[:3] == [("panel", "a", "answered"), ("panel", "b", "cancelled"), ("panel", "c", "not_needed")]


def test_surplus_members_are_cancelled_when_the_quorum_is_met():
    upstream = panel()
    told = ask(upstream, config({"min_successful_responses": 1}, panel=("a", "b", "c")))
    assert [seen.ended for seen in upstream.seen[:3]] == ["done", "cancelled", "cancelled"]
    assert upstream.seen[1].ended_at == pytest.approx(1.0)
    assert told.fusion["responses"] == [{"model": "a", "content": "the sky is blue"}]
    assert told.fusion["failed_models"] == []
    call = told.fusion["tandem"]["calls"][2]
    assert (call["outcome"], call["cancelled_by"], call["latency_sec"]) == ("cancelled", "quorum_met", 1.0)
    assert told.finished.record["cost_is"] == "at_least"
    assert told.degraded == []


def test_a_grace_time_lets_others_in():
    quorum = {"min_successful_responses": 1}
    told = ask(panel(), config(quorum, {"panel_grace_seconds": 1.5}, panel=("a", "b", "c")))
    assert [response["model"] for response in told.fusion["responses"]] == ["a", "b"]
    assert told.ended_at == pytest.approx(2.5 + 1.2)
    assert told.outcomes[2] == ("panel", "c", "cancelled")
    told = ask(panel(), config(quorum, {"panel_grace_seconds": 60}, panel=("a", "b", "c")))
    assert told.ended_at == pytest.approx(3.0 + 1.2), "nobody is waited for when all have answered"


def test_thoughts_of_members_are_told_and_those_of_the_judge_are_not():
    thinking = {"reasoning_content": "let me think"}
    upstream = panel(a=Says("blue", message=thinking))
    upstream.says["judge", "synthesis"].message = thinking
    told = ask(upstream)
    assert told.fusion["responses"][0] == {"model": "a", "content": "blue", "reasoning": "let me think"}
    assert "Reasoning 1 (a):\nlet me think" in upstream.seen[2].prompt
    assert "reasoning_content" not in told.completion["choices"][0]["message"]


def test_tools_are_the_synthesis_alone():
    tools = {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for stream in (False, True):
        upstream = panel()
        upstream.says["judge", "synthesis"] = Says("", message={"tool_calls": [call]})
        told = ask(upstream, None, {**BODY, **tools}, stream=stream)
        assert [("tools" in seen.call.body, "tool_choice" in seen.call.body) for seen in upstream.seen] == [
            *[(False, False)] * 3,
            (True, True),
        ]
        choice = told.completion["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
        assert told.degraded == []
        if stream:
            assert told.pieces[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_of_a_tool_that_was_cut_off_is_not_passed_off_as_whole():
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}
    for stream in (False, True):
        upstream = panel()
        upstream.says["judge", "synthesis"] = Says("", message={"tool_calls": [call]}, finish="length")
        told = ask(upstream, stream=stream)
        assert told.completion["choices"][0]["finish_reason"] == "length"
        if stream:
            assert told.pieces[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("message", [{"refusal": "I cannot."}, {"function_call": {"name": "f", "arguments": "{}"}}])
def test_what_is_said_without_a_text_is_an_answer_too(message):
    said = {"role": "assistant", "content": None, **message}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    pieces = [{"index": 0, "delta": message, "finish_reason": None}, {"index": 0, "delta": {}, "finish_reason": "stop"}]
    for stream in (False, True):
        body = json.dumps({"choices": [choice]}).encode()
        if stream:
            body = b"".join(b"data: %b\n\n" % json.dumps({"choices": [piece]}).encode() for piece in pieces)
        upstream = panel()
        upstream.says["judge", "synthesis"] = Says(body=body)
        told = ask(upstream, stream=stream)
        assert told.completion["choices"][0]["message"] == said
        assert told.degraded == []


def test_a_number_of_tokens_that_nobody_counted_is_not_known():
    told = ask(panel(a=Says("the sky is blue", prompt=10**400)))
    call = told.finished.record["calls"][0]
    assert call["outcome"] == "answered"
    assert "prompt_tokens" not in call


def test_a_format_is_for_panel_and_synthesis_not_for_the_judge():
    upstream = panel()
    shape = {"response_format": {"type": "json_object"}, "stop": ["}"], "logprobs": True, "top_logprobs": 2}
    ask(upstream, None, {**BODY, **shape})
    found = [{name for name in shape if name in seen.call.body} for seen in upstream.seen]
    assert found == [{"response_format", "stop"}, {"response_format", "stop"}, set(), set(shape)]


def test_logprobs_of_the_synthesis_are_passed_on():
    upstream = panel()
    upstream.says["judge", "synthesis"].choice = {"logprobs": {"content": [{"token": "Blue"}]}}
    told = ask(upstream, None, {**BODY, "logprobs": True})
    assert told.completion["choices"][0]["logprobs"] == {"content": [{"token": "Blue"}]}


def test_images_reach_panel_and_judge():
    content = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:..."}}]
    body = {"messages": [{"role": "user", "content": content}]}
    upstream = panel()
    ask(upstream, None, body)
    assert all(seen.call.body["messages"][0]["content"] == content for seen in upstream.seen)
    assert "what is this?" in upstream.seen[2].prompt


def test_a_slow_client_slows_down_its_stream_and_times_nothing_out():
    upstream = panel()
    upstream.says["judge", "synthesis"] = Says(
        " ".join(["word"] * 10 + [str(number) for number in range(200)]), every=0.01
    )
    told = ask(upstream, config(looper={"timeout_seconds": 3}), stream=True, slow_client=1.0)
    assert len(told.pieces) == 212
    assert told.degraded == []
    assert upstream.seen[-1].ended_at > 100
    assert [seen.call.timeout_sec for seen in upstream.seen] == [3, 3, 3, 86400]


@pytest.mark.parametrize("stream", [False, True])
def test_closing_cancels_every_call(stream):
    """The client leaves at any time: nothing is left, nothing is finished, and the record says so."""
    from contextlib import aclosing

    from fusion_stand_ins import Notes, run

    from tandem.router.calls import Route
    from tandem.router.fusion.build import build_fuse

    configuration = config()
    decision = configuration.routing.decisions[0]

    async def leave(number):
        upstream, notes = panel(), Notes()
        fuse = build_fuse(configuration, upstream, notes)
        seen = 0
        async with aclosing(fuse.run(Route(models=decision.panel, decision=decision), BODY, stream=stream)) as events:
            async for _ in events:
                seen += 1
                if seen == number:
                    break
        assert all(call.ended for call in upstream.seen)
        assert len(asyncio.all_tasks()) == 1
        if notes.requests and notes.requests[0].outcome == "cancelled":
            cancelled = [call for call in notes.requests[0].calls if call.outcome == "cancelled"]
            assert all(call.cancelled_by == "client" for call in cancelled)
        return seen == number

    number = 1
    while run(leave(number)):
        number += 1
    assert number > 8


def test_the_client_leaves_while_the_panel_works():
    from fusion_stand_ins import Notes, run

    from tandem.router.calls import Route
    from tandem.router.fusion.build import build_fuse

    configuration = config()
    decision = configuration.routing.decisions[0]
    upstream, notes = panel(), Notes()

    async def main():
        async def consume():
            route = Route(models=decision.panel, decision=decision)
            async for _ in build_fuse(configuration, upstream, notes).run(route, BODY, stream=False):
                pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(1.5)
        task.cancel()
        await asyncio.wait((task,))

    run(main())
    assert [call.ended for call in upstream.seen] == ["done", "cancelled"]
    assert notes.requests[0].outcome == "cancelled"
    assert [(call.outcome, call.cancelled_by) for call in notes.requests[0].calls] == [
        ("answered", None),
        ("cancelled", "client"),
    ]


def test_lone_surrogates_do_not_get_further():
    upstream = panel(a=Says("half \ud83d a pair"))
    told = ask(upstream)
    told.fusion["responses"][0]["content"].encode()
    upstream.seen[2].prompt.encode()


def test_a_failed_member_is_told_and_the_rest_goes_on():
    upstream = panel(b=Says(fails=CallFailed("connect", "nobody listens there")))
    told = ask(upstream, config({"min_successful_responses": 1}, {"panel_grace_seconds": 5}))
    assert told.fusion["failed_models"] == [{"model": "b", "error": "nobody listens there"}]
    assert told.content == "Blue light scatters most ."
