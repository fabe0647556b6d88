"""What is done where members, judge or synthesis fail, are late, busy, empty or repeat themselves."""

import json
import time
from dataclasses import replace
from email.utils import formatdate

import pytest
from fusion_stand_ins import ANALYSIS, BODY, NEVER, Says, ask, config, panel

from tandem.router.calls import CallFailed, Load, Piece, Refused
from tandem.router.fusion.recursion import OUTGOING, refuse_recursion

THREE = ("a", "b", "c")
FALLBACK = {"quorum_failure_policy": "fallback", "quorum_fallback_target": "spare"}


def test_a_panel_below_its_quorum_is_refused_before_the_judge():
    upstream = panel(b=Says(status=500, body=b'{"error": {"message": "out of memory"}}'))
    told = ask(upstream)
    assert (told.refused.status, told.refused.code) == (502, "fusion_quorum_failed")
    assert "1 of 2" in str(told.refused)
    assert "b: status 500: out of memory" in str(told.refused)
    assert [seen.stage for seen in upstream.seen] == ["panel", "panel"]
    assert told.refused.record["outcome"] == "refused"
    assert told.notes.failures[0].disposition == "quorum_failed"
    assert told.notes.failures[0].states == ("usable", "failed")
    assert (told.notes.failures[0].required, told.notes.failures[0].usable) == (2, 1)


@pytest.mark.parametrize(
    ("says", "outcome", "error"),
    [
        (Says(""), "empty", "the answer is empty"),
        (Says("  \n "), "empty", "the answer is empty"),
        (Says("<think>all I do is think"), "empty", "the answer is empty"),
        (Says("", message={"content": None, "tool_calls": [{"id": "1"}]}), "empty", "the answer is empty"),
        (Says(body=b'{"choices": []}'), "empty", "the answer is empty"),
        (Says(body=b'{"choices": [{"message": null}]}'), "empty", "the answer is empty"),
        (Says("no no " * 100), "looping", "repeats itself"),
        (Says(body=b"<html>"), "garbage", "no chat.completion"),
        (Says(body=b'{"choices": 3}'), "garbage", "no chat.completion"),
        (Says(body=b"[" * 100_000), "garbage", "no chat.completion"),
        (Says(body=b"\xff\xfe"), "garbage", "no chat.completion"),
        (Says(fails=CallFailed("closed", "half an answer")), "closed", "half an answer"),
        (Says(fails=CallFailed("too_large", "33 MiB")), "too_large", "33 MiB"),
        (Says(after=NEVER), "timeout", "no answer within 30 s"),
        (Says(fails=CallFailed("timeout", "late")), "timeout", "no answer within 30 s"),
        (Says(status=401, body=b'{"error": {"message": "key sk-1234 is wrong"}}'), "status", "status 401"),
        (Says(status=404, body=b'"no such model"'), "status", "status 404"),
    ],
)
def test_a_failed_member(says, outcome, error):
    told = ask(panel(b=says), config({"min_successful_responses": 1}, {"panel_grace_seconds": 100}))
    assert told.outcomes[1] == ("panel", "b", outcome)
    (failed,) = told.fusion["failed_models"]
    assert failed["model"] == "b"
    assert error in failed["error"]
    assert "sk-1234" not in json.dumps(told.fusion)
    assert [response["model"] for response in told.fusion["responses"]] == ["a"]
    assert "degraded" not in told.fusion


def test_thoughts_alone_are_something_to_judge_by():
    told = ask(panel(b=Says("", message={"reasoning": "hm, blue"})))
    assert told.outcomes[1] == ("panel", "b", "answered")


def test_on_error_fail_ends_at_the_first_failure():
    upstream = panel(a=Says(status=500), c=Says(after=NEVER))
    told = ask(upstream, config({"on_error": "fail", "min_successful_responses": 1, **FALLBACK}, panel=("a", "c")))
    assert (told.refused.status, told.refused.code) == (502, "fusion_member_failed")
    assert told.ended_at == pytest.approx(1.0)
    assert told.outcomes == [("panel", "a", "status"), ("panel", "c", "cancelled")]
    assert told.refused.record["calls"][1]["cancelled_by"] == "member_failed"


def test_a_quorum_that_cannot_be_met_any_more_is_not_waited_for():
    upstream = panel(a=Says(status=500), b=Says(after=NEVER))
    told = ask(upstream)
    assert told.ended_at == pytest.approx(1.0)
    assert told.refused.record["calls"][1]["cancelled_by"] == "quorum_lost"
    assert upstream.seen[1].ended == "cancelled"


def test_a_round_has_its_time():
    quorum = {"round_timeout_seconds": 3, "min_successful_responses": 2}
    upstream = panel(c=Says(after=NEVER))
    told = ask(upstream, config({**quorum, "min_successful_responses": 3}, panel=THREE))
    assert (told.refused.status, told.refused.code) == (504, "fusion_timeout")
    assert told.ended_at == pytest.approx(3.0)
    assert told.refused.record["calls"][2]["cancelled_by"] == "round_timeout"
    told = ask(panel(c=Says(after=NEVER)), config(quorum, {"panel_grace_seconds": 60}, panel=THREE))
    assert told.ended_at == pytest.approx(3.0 + 1.2)
    assert told.outcomes[2] == ("panel", "c", "cancelled")
    assert told.fusion["failed_models"] == [{"model": "c", "error": "no answer within round_timeout_seconds"}]


def test_a_late_round_goes_to_the_fallback_under_either_on_error():
    for on_error in ("skip", "fail"):
        upstream = panel(b=Says(after=NEVER))
        told = ask(upstream, config({"round_timeout_seconds": 3, "on_error": on_error, **FALLBACK}))
        assert told.content == "a spare answer"


@pytest.mark.parametrize("stream", [False, True])
def test_the_fallback_answers_as_itself(stream):
    tools = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    upstream = panel(b=Says(status=500))
    told = ask(upstream, config(FALLBACK), {**BODY, **tools}, stream=stream)
    assert told.content.strip() == "a spare answer"
    assert told.completion["model"] == "spare"
    assert told.degraded == ["fallback"]
    assert told.finished.headers == {"x-tandem-fusion-degraded": "fallback"}
    assert "analysis" not in told.fusion
    assert told.fusion["responses"] == []
    fallback = upstream.seen[-1]
    assert fallback.call.body["messages"] == BODY["messages"]
    assert fallback.call.body["tools"] == tools["tools"]
    assert told.finished.record["outcome"] == "fallback"
    assert told.notes.failures[0].disposition == "fallback_served"
    assert told.notes.failures[0].target == "spare"
    if stream:
        assert {piece["model"] for piece in told.pieces} == {"spare"}
    assert told.completion["usage"]["total_tokens"] == 30


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_that_fails_too(stream):
    upstream = panel(b=Says(status=500), spare=Says(""))
    told = ask(upstream, config(FALLBACK), stream=stream)
    assert told.refused.status == 502
    assert "spare instead: its answer is empty" in str(told.refused)
    assert told.notes.failures[0].disposition == "fallback_failed"


def test_busy_engines_are_not_asked():
    limits = {"max_waiting_requests": 2, "max_kv_cache_usage": 0.9}
    loads = {"a": Load(waiting_requests=2, kv_cache_usage=0.9), "b": Load(waiting_requests=3), "c": Load()}
    upstream = panel()
    upstream.loads = loads
    told = ask(upstream, config({"min_successful_responses": 2}, limits, panel=THREE))
    assert [seen.call.model for seen in upstream.seen[:2]] == ["a", "c"]
    assert told.outcomes[1] == ("panel", "b", "busy")
    assert "3 requests wait there" in told.fusion["failed_models"][0]["error"]
    assert told.events[0].data["left_out"][0]["model"] == "b"
    assert told.finished.record["upstream_calls"] == 4


def test_a_panel_that_busy_engines_keep_below_its_quorum_sends_nothing():
    upstream = panel()
    upstream.loads = {"b": Load(kv_cache_usage=0.95)}
    limits = {"max_kv_cache_usage": 0.9}
    told = ask(upstream, config(None, limits))
    assert (told.refused.status, told.refused.code) == (503, "fusion_busy")
    assert told.refused.retry_after_sec == 5
    assert "95% of its KV cache" in str(told.refused)
    assert upstream.seen == []
    upstream = panel()
    upstream.loads = {"b": Load(kv_cache_usage=0.95)}
    told = ask(upstream, config(FALLBACK, limits))
    assert told.content == "a spare answer"
    assert [seen.call.model for seen in upstream.seen] == ["spare"]


def test_an_engine_that_becomes_busy_before_its_turn():
    upstream = panel()
    upstream.loads = {"c": [Load(waiting_requests=0), Load(waiting_requests=9)]}
    told = ask(
        upstream,
        config(
            {"max_concurrent": 2, "min_successful_responses": 2}, {"max_waiting_requests": 1}, panel=("a", "c", "b")
        ),
    )
    assert told.outcomes[:3] == [("panel", "a", "answered"), ("panel", "c", "busy"), ("panel", "b", "answered")]


def test_a_limit_of_a_provider_is_told_with_its_time():
    says = Says(status=429, headers={"Retry-After": "17"}, body=b'{"error": {"message": "slow down"}}')
    told = ask(panel(b=says))
    assert (told.refused.status, told.refused.retry_after_sec) == (503, 17)
    for nonsense in ("nan", "inf", "-3", "soon", ""):
        told = ask(panel(b=replace(says, headers={"Retry-After": nonsense})))
        assert (told.refused.status, told.refused.retry_after_sec) == (503, 5)
    told = ask(panel(b=replace(says, headers={"Retry-After": formatdate(time.time() + 60, usegmt=True)})))
    assert 50 < told.refused.retry_after_sec <= 60
    told = ask(panel(b=Says(fails=CallFailed("busy", "all are full", retry_after_sec=3))))
    assert (told.refused.status, told.refused.retry_after_sec) == (503, 3)
    assert told.refused.record["upstream_calls"] == 1


def test_a_request_that_every_member_refuses_is_the_clients_fault():
    bad = Says(status=400, body=b'{"error": {"message": "top_k must be positive"}}')
    told = ask(panel(a=bad, b=bad))
    assert (told.refused.status, told.refused.code) == (400, "fusion_panel_refused")
    assert "top_k" in str(told.refused)


def test_members_that_agree_word_for_word_are_one_answer():
    upstream = panel(b=Says("The sky, is BLUE!", after=2.0))
    told = ask(upstream, config({"min_successful_responses": 2}, {"panel_grace_seconds": 10}, panel=THREE))
    assert told.outcomes[1] == ("panel", "b", "repeated")
    assert [response["model"] for response in told.fusion["responses"]] == ["a", "c"]
    assert "degraded" not in told.fusion


def test_agreement_makes_up_for_the_quorum_only_where_there_is_no_fallback():
    same = {"a": Says("42"), "b": Says("42."), "c": Says("42 !")}
    told = ask(panel(**same))
    assert told.content == "Blue light scatters most ."
    assert told.degraded == ["repeated_answers"]
    assert told.finished.record["quorum"] == {"required": 2, "usable": 1}
    told = ask(panel(**same), config(FALLBACK))
    assert told.content == "a spare answer"
    told = ask(panel(a=Says("42"), b=Says("42"), c=Says("")), config(panel=THREE))
    assert told.refused.status == 502


@pytest.mark.parametrize(
    ("judge", "reason"),
    [
        (Says("there is not much to say"), "analysis_unreadable"),
        (Says(""), "analysis_unreadable"),
        (Says(status=500), "analysis_failed"),
        (Says(after=NEVER), "analysis_failed"),
        (Says(fails=CallFailed("closed", "gone")), "analysis_failed"),
    ],
)
def test_an_analysis_that_fails_is_done_without(judge, reason):
    upstream = panel()
    upstream.says["judge", "judge"] = judge
    told = ask(upstream)
    assert told.content == "Blue light scatters most ."
    assert told.degraded == [reason]
    assert told.finished.headers == {"x-tandem-fusion-degraded": reason}
    assert "There is none" in upstream.seen[-1].prompt
    if reason == "analysis_unreadable":
        assert told.fusion["analysis"]["parse_failed"] is True
        assert told.fusion["analysis"]["raw"] == judge.text
    else:
        assert "analysis" not in told.fusion


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "synthesis",
    [
        Says(status=503),
        Says(""),
        Says("  "),
        Says(after=NEVER),
        Says(fails=CallFailed("connect", "nobody there")),
        Says(body=b"data: {]\n\n"),
        Says("x", breaks_after=0, body=None),
    ],
)
def test_a_synthesis_that_fails_is_replaced_by_the_best_answer(synthesis, stream):
    if synthesis.breaks_after == 0 and not stream:
        synthesis = Says(fails=CallFailed("closed", "gone"))
    upstream = panel(a=Says("red dwarfs sing", after=1), b=Says("light scatters, blue most"))
    upstream.says["judge", "synthesis"] = synthesis
    told = ask(upstream, config(panel=THREE), stream=stream)
    assert told.content == "light scatters, blue most"
    assert told.completion["model"] == "b"
    assert told.degraded == ["synthesis_failed"]
    assert told.finished.headers == {"x-tandem-fusion-degraded": "synthesis_failed"}
    assert "this is the answer of b" in told.fusion["tandem"]["notes"][0]
    if stream:
        assert [piece["choices"][0]["delta"].get("content") for piece in told.pieces] == [told.content, None]
        assert {piece["id"] for piece in told.pieces} == {told.completion["id"]}


@pytest.mark.parametrize("text", ["no no " * 100, "哈" * 200])
def test_a_synthesis_in_a_loop_is_no_answer(text):
    upstream = panel()
    upstream.says["judge", "synthesis"] = Says(text)
    told = ask(upstream)
    assert told.content == "the sky is blue"
    told = ask(upstream, stream=True)
    assert told.degraded == ["synthesis_looping"]


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_but_thoughts_and_no_synthesis_is_refused(stream):
    thoughts = Says("", message={"reasoning": "hm"})
    upstream = panel(a=thoughts, b=thoughts)
    upstream.says["judge", "synthesis"] = Says(status=500)
    told = ask(upstream, stream=stream)
    assert (told.refused.status, told.refused.code) == (502, "fusion_failed")


@pytest.mark.parametrize(
    "how", [{"breaks_after": 2}, {"error_after": 2}, {"hangs_after": 2}, {"finish": None}], ids=min
)
def test_a_synthesis_that_breaks_off_ends_the_stream_with_an_error(how):
    upstream = panel()
    upstream.says["judge", "synthesis"] = Says("one two three four", **how)
    told = ask(upstream, stream=True)
    assert isinstance(told.events[-1], Piece)
    assert (told.refused.status, told.refused.code) == (502, "fusion_broke_off")
    assert told.refused.record["outcome"] == "broken"
    assert told.notes.requests[0].outcome == "broken"


@pytest.mark.parametrize("limits", [{}, {"max_wall_seconds": 20}])
def test_an_answer_that_was_whole_is_not_broken_by_what_comes_after_it(limits):
    # The engine ends before it told its tokens, or never does.
    whole = {"choices": [{"index": 0, "delta": {"content": "Blue."}, "finish_reason": "stop"}]}
    upstream = panel()
    upstream.says["judge", "synthesis"] = Says(body=b"data: %b\n\n" % json.dumps(whole).encode(), hangs_after=0)
    told = ask(upstream, config(None, limits), stream=True)
    assert told.content == "Blue."
    assert [piece["choices"][0]["finish_reason"] for piece in told.pieces] == ["stop"]
    assert told.degraded == []
    assert told.finished.record["calls"][-1]["outcome"] == ("cancelled" if limits else "timeout")


def test_a_stream_cut_anywhere_is_read():
    upstream = panel()
    text = "".join(
        f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': word}}]}, ensure_ascii=False)}\n\n"
        for word in ("grün ", "ist ", "es")
    )
    end = 'event: x\ndata: {"choices":[{"index":0,\ndata: "delta":{},"finish_reason":"stop"}]}\r\n\r\n: ping\n\n'
    upstream.says["judge", "synthesis"] = Says(body=(text + end).encode())
    told = ask(upstream, stream=True)
    assert told.content == "grün ist es"


def test_a_huge_stream_is_ended():
    upstream = panel()
    upstream.says["judge", "synthesis"] = Says(body=b"data: " + b"x" * (5 << 20))
    told = ask(upstream, stream=True)
    assert told.outcomes[-1] == ("synthesis", "judge", "too_large")
    assert told.degraded == ["synthesis_failed"]


def test_other_choices_of_a_stream_are_left_out():
    upstream = panel()
    chunks = [
        {"choices": [{"index": 1, "delta": {"content": "no"}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]},
        {"choices": [{"index": 0, "delta": {"content": "yes"}, "finish_reason": "stop"}]},
    ]
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    upstream.says["judge", "synthesis"] = Says(body=body)
    told = ask(upstream, stream=True)
    assert told.content == "yes"
    assert len(told.pieces) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 2},
        {"n": True},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "alloy"}},
        {"plugins": [{"id": "fusion"}]},
        {"continue_final_message": True},
        {"echo": True},
        {"use_beam_search": True},
        {"best_of": 50},
        {"stream": "true"},
        {"stream": 1},
        {"max_tokens": 0},
        {"max_tokens": 2**60},
        {"max_completion_tokens": "many"},
        {"messages": []},
        {"messages": "hello"},
        {"messages": ["hello"]},
    ],
    ids=lambda wrong: "-".join(f"{key}" for key in wrong),
)
def test_what_a_fusion_cannot_give_is_refused(wrong):
    upstream = panel()
    told = ask(upstream, None, {**BODY, **wrong})
    assert told.refused.status == 400
    assert next(iter(wrong)) in str(told.refused)
    assert upstream.seen == []


@pytest.mark.parametrize(
    "harmless", [{"n": 1}, {"n": None}, {"best_of": 1}, {"modalities": ["text"]}, {"audio": None}, {"plugins": []}]
)
def test_what_asks_for_nothing_more_is_accepted(harmless):
    assert ask(panel(), None, {**BODY, **harmless}).content


def test_a_completion_has_no_messages():
    told = ask(panel(), None, {"prompt": "why?"})
    assert "/v1/chat/completions" in str(told.refused)


def test_recursion_is_refused():
    refuse_recursion({"content-type": "application/json", "x-tandem-request": "1"})
    for headers in (OUTGOING, {"X-Tandem-Fusion-Depth": "1"}, {"x-vsr-fusion-depth": "1"}):
        with pytest.raises(Refused) as refused:
            refuse_recursion(headers)
        assert (refused.value.status, refused.value.code) == (400, "fusion_recursion")


def test_the_analysis_of_a_judge_that_chats_is_found():
    upstream = panel()
    upstream.says["judge", "judge"] = Says(
        f"<think>{{}}</think>Sure! Here it is:\n```json\n{ANALYSIS}\n```\nHope it helps."
    )
    told = ask(upstream)
    assert told.fusion["analysis"]["consensus"] == ["both agree"]
    assert "degraded" not in told.fusion
