"""Whatever happens in whatever order: the budget holds, nothing is left running, everything is answered or refused."""

import asyncio
import contextlib
from fractions import Fraction

import pytest
from fusion_stand_ins import ANALYSIS, BODY, NEVER, Notes, Says, Script, ask, config, run
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.router.calls import CallFailed, Finished, Load, Refused, Route
from tandem.router.fusion.analysis import parse
from tandem.router.fusion.answers import Reply, best, loops, normalised, spoken, unusable
from tandem.router.fusion.build import build_fuse
from tandem.router.fusion.ledger import Ledger, OverBudget, Price
from tandem.router.fusion.plan import LEAST_TOKENS, RETOLD, Prompts, Share, plan_all
from tandem.router.fusion.quorum import Panel
from tandem.router.fusion.tokens import of_text

pytestmark = pytest.mark.slow

COSTS = st.fractions(0, 5, max_denominator=100)


@given(
    max_cost=st.one_of(st.none(), st.integers(0, 20)),
    max_calls=st.one_of(st.none(), st.integers(0, 8)),
    steps=st.lists(st.tuples(st.sampled_from(["hold", "send", "settle", "release", "back"]), COSTS, st.integers(0, 9))),
)
def test_a_ledger_never_exceeds_its_budget(max_cost, max_calls, steps):
    ledger = Ledger(max_cost=max_cost, max_calls=max_calls)
    holds, sent = [], []
    for step, cost, number in steps:
        if step == "hold":
            with contextlib.suppress(OverBudget):
                holds.append(ledger.hold(cost))
        elif step in ("send", "release") and holds:
            hold = holds.pop(number % len(holds))
            if step == "release":
                ledger.release(hold)
            else:
                ledger.send(hold)
                sent.append(hold)
        elif step in ("settle", "back") and sent:
            hold = sent.pop(number % len(sent))
            if step == "back":
                ledger.take_back(hold)
            else:
                # What was used is at most what was held; None is not known.
                ledger.settle(hold, None if number == 0 else min(cost, hold.cost))
        assert ledger.spent >= 0
        assert ledger.held == sum(hold.cost for hold in (*holds, *sent))
        if max_cost is not None:
            assert ledger.spent + ledger.held <= max_cost
        if max_calls is not None:
            assert ledger.calls + len(holds) <= max_calls
    assert len(sent) <= ledger.calls


@given(steps=st.lists(st.tuples(COSTS, COSTS), max_size=12))
def test_after_more_than_was_foreseen_nothing_is_sent_that_costs(steps):
    ledger = Ledger(max_cost=6)
    holds = []
    for cost, _ in steps:
        with contextlib.suppress(OverBudget):
            holds.append(ledger.hold(cost))
    for hold, (_, used) in zip(holds, steps, strict=False):
        before = ledger.spent
        try:
            ledger.send(hold)
        except OverBudget:
            assert ledger.spent == before
            continue
        assert before + hold.cost <= 6 or hold.cost == 0
        ledger.settle(hold, used * 2)


PRICES = st.builds(Price, prompt=COSTS, completion=COSTS, cached=COSTS)
SHARES = st.builds(Share, PRICES, st.integers(1, 5000))


@given(
    money=st.fractions(0, 100_000, max_denominator=10),
    prompts=st.builds(Prompts, st.integers(0, 5000), st.integers(0, 1000)),
    members=st.lists(SHARES, min_size=1, max_size=5),
    stages=st.lists(SHARES, min_size=1, max_size=2),
    data=st.data(),
)
def test_a_plan_can_be_paid_and_is_the_longest(money, prompts, members, stages, data):
    quorum = data.draw(st.integers(1, len(members)))
    plan = plan_all(money, prompts, members, stages, quorum=quorum)

    def cost(number, cap):
        total, prompt = Fraction(0), prompts.request + prompts.stage
        for share in members[:number]:
            length = min(share.wanted, cap)
            total += share.price.most(prompts.request, length)
            prompt += RETOLD * length
        for share in stages:
            total += share.price.most(prompt, min(share.wanted, cap))
            prompt += RETOLD * min(share.wanted, cap)
        return total

    if plan is None:
        assert cost(quorum, LEAST_TOKENS) > money
        return
    number = len(plan.members)
    assert number >= quorum
    assert sum(cost for _, cost in (*plan.members, *plan.stages)) <= money
    assert number == len(members) or cost(number + 1, LEAST_TOKENS) > money
    cap = max(length for length, _ in (*plan.members, *plan.stages))
    assert sum(cost for _, cost in (*plan.members, *plan.stages)) == cost(number, cap)
    if any(length < share.wanted for (length, _), share in zip(plan.members, members, strict=False)):
        assert cost(number, cap + 1) > money
        assert cap >= LEAST_TOKENS


STEPS = st.lists(
    st.tuples(st.sampled_from(["usable", "repeated", "failed", "left_out", "time"]), st.integers(0, 9)), max_size=30
)


@st.composite
def panels(draw):
    size = draw(st.integers(1, 6))
    return Panel(
        size,
        quorum=draw(st.integers(1, size)),
        max_concurrent=draw(st.integers(1, size)),
        grace_sec=draw(st.sampled_from([0.0, 2.0])),
        ends_at=draw(st.sampled_from([None, 5.0])),
        fail_fast=draw(st.booleans()),
        agreement_counts=draw(st.booleans()),
    )


@given(panel=panels(), steps=STEPS)
def test_a_panel_ends_and_knows_why(panel, steps):
    now, quorum = 0.0, panel.quorum

    def start():
        while (place := panel.next()) is not None:
            panel.asked(place)

    panel.look(now)
    start()
    for what, number in steps:
        asked = [place for place, standing in enumerate(panel.standing) if standing == "asked"]
        assert len(asked) <= panel.max_concurrent
        if panel.end:
            break
        assert asked, "a panel that has not ended waits for somebody"
        if what == "time":
            now += number / 3
            panel.look(now)
        else:
            panel.finished(asked[number % len(asked)], what, now)
        start()
    usable, repeated = panel.number("usable"), panel.number("repeated")
    if panel.end == "enough":
        assert usable >= quorum or (panel.agreement_counts and usable and usable + repeated >= quorum)
        assert panel.agreed == (usable < quorum)
    elif panel.end == "short":
        assert usable < quorum
        asked_for = panel.number("asked", "waiting") if not panel.timed_out else 0
        assert usable + asked_for < quorum
    elif panel.end == "failed":
        assert panel.fail_fast
    gone = panel.cancelled()
    assert panel.number("asked") == 0
    assert panel.number("cancelled") == len(gone)


FAILURES = st.sampled_from(["busy", "connect", "timeout", "closed", "too_large", "garbage", "status"])
SAYS = st.builds(
    Says,
    text=st.sampled_from(["yes it is", "no it is not", "Yes, it is!", "", " ", "ha " * 60, "perhaps, if you ask me"]),
    after=st.sampled_from([0.0, 0.5, 1.0, 1.5, 3.0, 7.0, NEVER]),
    status=st.sampled_from([200] * 6 + [400, 429, 500]),
    fails=st.one_of(st.none(), st.none(), st.none(), st.builds(CallFailed, FAILURES, st.just("it failed"))),
    prompt=st.sampled_from([10, None]),
    finish=st.sampled_from(["stop", "stop", "length", None]),
    breaks_after=st.sampled_from([None, None, 0, 1]),
    hangs_after=st.sampled_from([None, None, 0, 2]),
    error_after=st.sampled_from([None, None, None, 1]),
    greedy=st.booleans(),
)
LOADS = st.builds(
    Load, waiting_requests=st.sampled_from([None, 0, 5]), kv_cache_usage=st.sampled_from([None, 0.5, 1.0])
)


@st.composite
def situations(draw):
    """Draw a panel, how everybody behaves, limits, and when the client leaves."""
    members = draw(st.permutations(["a", "b", "c"]))[: draw(st.integers(1, 3))]
    mode = draw(st.sampled_from(["separate", "one_call", "none"]))
    quorum = draw(st.one_of(st.none(), st.integers(1, len(members))))
    fusion = {
        "analysis_mode": mode,
        "min_successful_responses": quorum,
        "max_concurrent": draw(st.one_of(st.none(), st.integers(1, 3))),
        "on_error": draw(st.sampled_from(["skip", "skip", "fail"])),
        "round_timeout_seconds": draw(st.sampled_from([None, 2])),
    }
    if draw(st.booleans()):
        fusion |= {"quorum_failure_policy": "fallback", "quorum_fallback_target": "spare"}
    least = (quorum or len(members)) + (2 if mode == "separate" else 1)
    limits = {
        "max_wall_seconds": draw(st.sampled_from([None, 0.4, 5.0])),
        "max_cost": draw(st.sampled_from([None, 0.001, 0.01, 0.02, 0.05, 1.0])),
        "max_upstream_calls": draw(st.one_of(st.none(), st.integers(least, least + 2))),
        "panel_grace_seconds": draw(st.sampled_from([None, 1.0])),
        "max_waiting_requests": draw(st.sampled_from([None, 1])),
        "max_kv_cache_usage": draw(st.sampled_from([None, 0.9])),
    }
    keep = {name: value for name, value in fusion.items() if value is not None}
    limits = {name: value for name, value in limits.items() if value is not None}
    says = {name: draw(SAYS) for name in (*members, "spare")}
    for name in members:
        # Nobody waits for a member that is cancelled.
        says[name].slow_to_close = draw(st.sampled_from([0.0, 2.0]))
    for stage in ("judge", "synthesis"):
        says["judge", stage] = draw(st.one_of(SAYS, st.just(Says(ANALYSIS, greedy=True))))
    loads = draw(st.dictionaries(st.sampled_from(members), LOADS))
    return Script(says, loads), config(keep, limits, panel=members), limits


def check(upstream, limits, requests, *, left):
    """Check what holds whatever happened."""
    assert all(call.ended for call in upstream.seen)
    (record,) = requests
    assert record.outcome
    if not left:
        assert record.outcome != "cancelled"
    assert all(call.outcome for call in record.calls)
    # Calls that were refused as busy by the upstream were seen here, and not sent.
    refused = sum(call.outcome == "busy" and call.backend is None for call in record.calls)
    sent = sum(call.sent for call in record.calls)
    assert sent <= len(upstream.seen) <= sent + refused
    if "max_upstream_calls" in limits:
        assert sent <= limits["max_upstream_calls"]
    if "max_cost" in limits:
        most = sum(
            Fraction(prompt + 10 * completion, 10**6)
            for prompt, completion in (seen.most_tokens for seen in upstream.seen)
        )
        booked = sum(Fraction(str(call.cost)) for call in record.calls if call.cost is not None)
        assert most <= booked + Fraction(1, 10**9)
        assert booked <= Fraction(str(limits["max_cost"])) + Fraction(1, 10**9)


@settings(max_examples=150)
@given(situation=situations(), stream=st.booleans())
def test_everything_is_answered_or_refused_within_its_budget(situation, stream):
    upstream, configuration, limits = situation
    told = ask(upstream, configuration, BODY, stream=stream)
    check(upstream, limits, told.notes.requests, left=False)
    assert told.refused or isinstance(told.events[-1], Finished)
    if told.refused:
        assert 400 <= told.refused.status < 600
        assert told.refused.record
        assert (told.refused.status == 503) <= (told.refused.retry_after_sec is not None)
    else:
        choice = told.completion["choices"][0]
        assert choice["message"]["content"].strip()
        assert choice["finish_reason"] in ("stop", "length")
        if stream:
            assert "".join(piece["choices"][0]["delta"].get("content") or "" for piece in told.pieces) == told.content
            assert [bool(piece["choices"][0]["finish_reason"]) for piece in told.pieces].count(True) == 1
    if "max_wall_seconds" in limits:
        assert told.at == [] or told.at[-1] <= limits["max_wall_seconds"] + 1e-6


@settings(max_examples=100)
@given(situation=situations(), stream=st.booleans(), leaves=st.sampled_from([0.0, 0.5, 1.0, 1.2, 2.0, 3.3, 6.0]))
def test_a_client_that_leaves_leaves_nothing(situation, stream, leaves):
    upstream, configuration, limits = situation
    decision, notes = configuration.routing.decisions[0], Notes()

    async def main():
        async def consume():
            events = build_fuse(configuration, upstream, notes).run(
                Route(models=decision.panel, decision=decision), BODY, stream=stream
            )
            async with contextlib.aclosing(events):
                async for _ in events:
                    pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(leaves)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and task.exception():
            assert isinstance(task.exception(), Refused)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
    if notes.requests:
        check(upstream, limits, notes.requests, left=True)
    else:
        assert upstream.seen == []


@given(st.text())
def test_any_text_is_read_as_an_analysis_or_kept(text):
    found = parse(text)
    assert found.parse_failed == (not found.lists)
    assert found.raw == (text if found.parse_failed else "")
    found.document()


ENTRIES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), max_size=3)


@given(
    lists=st.fixed_dictionaries({"consensus": ENTRIES.filter(bool), "blind_spots": ENTRIES}),
    around=st.sampled_from(["{}", "```json\n{}\n```", "Here you are:\n{}\nThat is all.", "<think>{{a}}</think>{}"]),
    cut=st.integers(0, 400),
)
def test_an_analysis_is_found_in_prose_and_what_is_whole_of_a_cut_one(lists, around, cut):
    import json

    text = around.format(json.dumps(lists, ensure_ascii=False))
    whole = parse(text)
    assert not whole.parse_failed
    assert [list(whole.lists[key]) for key in lists] == [[item.strip() for item in lists[key]] for key in lists]
    part = parse(text[:cut])
    if not part.parse_failed:
        found = list(part.lists["consensus"])
        assert found == list(whole.lists["consensus"])[: len(found)]


@given(st.lists(st.sampled_from(["red", "blue", "green", "is", "the"]), max_size=40), st.booleans())
def test_short_answers_are_no_loops(words, cut):
    assert not loops(" ".join(words[:7]), cut=cut)


@given(st.lists(st.text("abcdef", min_size=1, max_size=5), min_size=1, max_size=9), st.integers(30, 90))
def test_a_text_over_and_over_is_a_loop(words, times):
    assert loops("A beginning of some words: " + " ".join(words * times), cut=False)


@given(st.lists(st.builds(Reply, content=st.sampled_from(["a b", "a c", "c d", "", "a b c"])), max_size=5))
def test_the_best_answer_is_one_with_text_and_always_the_same(replies):
    place = best(replies)
    assert (place is None) == (not any(reply.content for reply in replies))
    if place is not None:
        assert replies[place].content
        assert best(replies) == place


@given(st.text(), st.text())
def test_an_answer_is_repeated_if_its_words_are(one, other):
    first, second = Reply(content=one), Reply(content=other)
    one, other = spoken(one), spoken(other)
    same = bool(normalised(one)) and normalised(one) == normalised(other)
    if one.strip() and other.strip() and not loops(other, cut=False):
        assert (unusable(second, [first]) == "repeated") == same


@given(st.text())
def test_the_tokens_of_a_text_are_at_most_its_bytes(text):
    assert 0 <= of_text(text) <= len(text.encode("utf-8", "replace"))
