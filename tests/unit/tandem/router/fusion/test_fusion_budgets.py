"""What would break the budget is not sent: money, calls and time."""

import pytest
from fusion_stand_ins import BODY, NEVER, Says, ask, config, panel

from tandem.router.calls import CallFailed, Piece

THREE = ("a", "b", "c")
FALLBACK = {"quorum_failure_policy": "fallback", "quorum_fallback_target": "spare"}
#: Prices of the configuration: 1 EUR for a million tokens of a prompt, 10 of an answer.
PROMPT, COMPLETION = 1e-6, 1e-5


def greedy(**changes):
    """Return a script in which everybody takes all they may."""
    script = panel(**changes)
    for key, says in script.says.items():
        if key not in changes:
            says.greedy = True
    return script


def lengths(upstream):
    return [seen.call.body.get("max_completion_tokens") for seen in upstream.seen]


def test_without_a_budget_of_money_nothing_is_limited():
    upstream = panel()
    ask(upstream)
    assert lengths(upstream) == [None] * 4


def test_money_shortens_all_answers_alike_and_suffices():
    upstream = greedy()
    told = ask(upstream, config(limits={"max_cost": 0.06}))
    first, second, judge, synthesis = lengths(upstream)
    assert 256 < first == second < 4096
    assert judge >= first * 0.9
    assert synthesis >= first * 0.9
    record = told.finished.record
    assert record["cost"] <= 0.06
    assert record["cost"] > 0.03
    assert record["budget"] == {"max_cost": 0.06}
    assert told.degraded == []


def test_much_money_leaves_every_answer_its_length():
    upstream = panel()
    cards = [{"name": "a", "max_output_tokens": 1000}, {"name": "b", "context_window_size": 600}]
    ask(upstream, config(None, {"max_cost": 50}, cards=cards))
    first, second, judge, synthesis = lengths(upstream)
    assert (first, judge, synthesis) == (1000, 4096, 4096)
    assert 150 <= second < 600, "it must fit beside the prompt"
    upstream = panel()
    ask(upstream, config({"max_completion_tokens": 200}, {"max_cost": 50}), {**BODY, "max_tokens": 90})
    assert lengths(upstream) == [200, 200, 200, 90]


def test_members_beyond_the_quorum_are_left_out_before_answers_get_too_short():
    upstream = greedy()
    told = ask(upstream, config({"min_successful_responses": 2}, {"max_cost": 0.017}, panel=THREE))
    assert told.outcomes[:3] == [("panel", "a", "answered"), ("panel", "b", "answered"), ("panel", "c", "budget")]
    assert all(length >= 256 for length in lengths(upstream))
    assert told.degraded == ["budget_panel"]
    assert "c was not asked" in told.fusion["tandem"]["notes"][0]
    assert told.finished.record["cost"] <= 0.017


def test_a_budget_that_does_not_reach_sends_nothing():
    upstream = panel()
    told = ask(upstream, config(limits={"max_cost": 0.001}))
    assert (told.refused.status, told.refused.code) == (400, "fusion_budget")
    assert "max_cost 0.001 does not pay for the panel and an answer" in str(told.refused)
    assert upstream.seen == []
    assert [call["outcome"] for call in told.refused.record["calls"]] == ["budget", "budget"]


def test_a_fallback_must_be_paid_too():
    upstream = greedy()
    told = ask(upstream, config(FALLBACK, {"max_cost": 0.005}))
    assert told.content == "a spare answer"
    assert [seen.call.model for seen in upstream.seen] == ["spare"]
    assert told.finished.record["cost"] <= 0.005
    told = ask(panel(), config(FALLBACK, {"max_cost": 0.0005}))
    assert (told.refused.status, told.refused.code) == (400, "fusion_budget")
    assert told.notes.failures[0].disposition == "budget_exhausted"


def test_a_long_prompt_costs_before_it_is_sent():
    body = {"messages": [{"role": "user", "content": "1234567890" * 2000}]}
    upstream = panel()
    told = ask(upstream, config(limits={"max_cost": 0.06}), body)
    assert told.refused.code == "fusion_budget"
    assert upstream.seen == []


def test_what_cost_more_than_could_be_foreseen_is_booked_and_ends_it():
    upstream = panel(b=Says("surprise", after=2.0, completion=10**6))
    told = ask(upstream, config(limits={"max_cost": 0.06}))
    assert told.content in ("the sky is blue", "surprise")
    assert told.degraded == ["analysis_skipped", "synthesis_skipped"]
    assert [seen.stage for seen in upstream.seen] == ["panel", "panel"]
    assert told.outcomes[2:] == [("judge", "judge", "budget"), ("synthesis", "judge", "budget")]
    assert told.finished.record["cost"] > 10


def test_an_analysis_is_given_up_before_the_answer():
    """A member takes more than was foreseen; what is left pays for one call."""
    found = set()
    for spent in range(256, 2000, 50):
        upstream = panel(a=Says("the sky is blue", completion=spent))
        told = ask(upstream, config({"max_completion_tokens": 256}, {"max_cost": 0.015}))
        assert told.content
        found.add((tuple(outcome for _, _, outcome in told.outcomes[2:]), tuple(told.degraded)))
    assert found == {
        (("answered", "answered"), ()),
        (("budget", "answered"), ("analysis_skipped",)),
        (("budget", "budget"), ("analysis_skipped", "synthesis_skipped")),
    }


def test_who_is_cancelled_or_not_counted_costs_the_most_that_was_possible():
    limits = {"max_cost": 1}
    told = ask(panel(b=Says(after=NEVER)), config({"min_successful_responses": 1}, limits))
    call = told.finished.record["calls"][1]
    assert call["cost_is"] == "at_most"
    assert call["cost"] > 4096 * COMPLETION
    assert told.finished.record["cost_is"] == "at_most"
    told = ask(panel(b=Says("no usage", prompt=None)), config(limits=limits))
    assert told.finished.record["calls"][1]["cost_is"] == "at_most"
    told = ask(panel(b=Says(fails=CallFailed("connect", "no"))), config({"min_successful_responses": 1}, limits))
    assert told.notes.calls[0].model == "a"


def test_cached_input_is_cheaper_only_where_its_price_is_known():
    from fractions import Fraction

    from tandem.router.config.providers import Pricing
    from tandem.router.fusion.answers import Usage
    from tandem.router.fusion.ledger import Price

    usage = Usage(prompt=1000, completion=10, cached=600)
    priced = Price.of(Pricing(prompt_per_1m=2, completion_per_1m=10, cached_input_per_1m=0.5))
    assert priced.of_usage(usage) == Fraction(400 * 2 + 300 + 100, 10**6)
    assert Price.of(Pricing(prompt_per_1m=2, completion_per_1m=10)).of_usage(usage) == Fraction(2100, 10**6)


def test_calls_are_kept_for_judge_and_synthesis():
    upstream = panel()
    told = ask(upstream, config({"min_successful_responses": 2}, {"max_upstream_calls": 4}, panel=THREE))
    assert told.outcomes[2] == ("panel", "c", "budget")
    assert len(upstream.seen) == told.finished.record["upstream_calls"] == 4
    assert told.degraded == ["budget_panel"]
    assert told.content == "Blue light scatters most ."


def test_a_call_that_was_not_sent_leaves_room_for_another_member():
    upstream = panel(a=Says(fails=CallFailed("busy", "full")))
    told = ask(upstream, config({"min_successful_responses": 2}, {"max_upstream_calls": 4}, panel=THREE))
    assert told.outcomes[:3] == [("panel", "a", "busy"), ("panel", "b", "answered"), ("panel", "c", "answered")]
    assert told.finished.record["upstream_calls"] == 4


def test_the_money_of_a_member_that_was_not_reached_goes_to_another():
    upstream = greedy(a=Says(fails=CallFailed("connect", "no"), after=0.1))
    told = ask(upstream, config({"min_successful_responses": 2}, {"max_cost": 0.017}, panel=THREE))
    assert told.outcomes[:3] == [("panel", "a", "connect"), ("panel", "b", "answered"), ("panel", "c", "answered")]
    assert told.finished.record["cost"] <= 0.017


def test_a_failed_call_counts_as_a_call():
    upstream = panel(a=Says(status=500))
    told = ask(upstream, config({"min_successful_responses": 2}, {"max_upstream_calls": 4}, panel=THREE))
    assert told.refused.status == 502
    assert len(upstream.seen) == 2


WALL = {"max_wall_seconds": 10}


def test_time_is_kept_for_judge_and_synthesis():
    upstream = panel(c=Says(after=NEVER))
    told = ask(upstream, config({"min_successful_responses": 2}, {**WALL, "panel_grace_seconds": 60}, panel=THREE))
    assert told.ended_at == pytest.approx(6.0 + 1.2)
    assert told.finished.record["calls"][2]["cancelled_by"] == "wall_budget"
    told = ask(panel(b=Says(after=NEVER)), config(limits=WALL))
    assert (told.refused.status, told.refused.code) == (504, "fusion_timeout")
    assert told.ended_at == pytest.approx(6.0)
    told = ask(panel(b=Says(after=NEVER)), config(FALLBACK, WALL))
    assert told.content == "a spare answer"


def test_an_analysis_that_takes_too_long_is_done_without():
    upstream = panel()
    upstream.says["judge", "judge"] = Says(after=NEVER)
    told = ask(upstream, config(limits=WALL))
    assert told.degraded == ["analysis_failed"]
    assert told.ended_at == pytest.approx(8.0 + 0.7)
    assert told.finished.record["calls"][2]["cancelled_by"] == "wall_budget"


def test_a_streamed_synthesis_ends_with_what_there_is():
    upstream = panel()
    upstream.says["judge", "synthesis"] = Says(" ".join(["word"] * 1000), after=0.7, every=0.5)
    told = ask(upstream, config(limits=WALL), stream=True)
    assert told.ended_at == pytest.approx(10.0)
    assert told.content == "word " * 13
    assert told.completion["choices"][0]["finish_reason"] == "length"
    assert told.pieces[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "length"}
    assert told.degraded == ["synthesis_cut"]
    assert "max_wall_seconds 10 was over" in told.fusion["tandem"]["notes"][0]
    assert told.finished.record["calls"][-1]["cancelled_by"] == "wall_budget"
    assert upstream.seen[-1].ended == "cancelled"


@pytest.mark.parametrize("stream", [False, True])
def test_a_synthesis_that_never_begins_ends_with_the_best_answer(stream):
    upstream = panel()
    upstream.says["judge", "synthesis"] = Says(after=NEVER)
    told = ask(upstream, config(limits=WALL), stream=stream)
    assert told.ended_at == pytest.approx(10.0)
    assert told.content == "the sky is blue"
    assert told.degraded == ["synthesis_failed"]
    assert any(isinstance(event, Piece) for event in told.events) == stream


def test_nothing_is_sent_when_the_time_is_over():
    upstream = panel()
    upstream.says["judge", "judge"] = Says(after=NEVER, slow_to_close=3.0)
    told = ask(upstream, config(limits=WALL))
    assert [seen.stage for seen in upstream.seen] == ["panel", "panel", "judge"]
    assert told.outcomes[-1] == ("synthesis", "judge", "budget")
    assert told.content == "the sky is blue"
    assert told.finished.record["upstream_calls"] == 3
