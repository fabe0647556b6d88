"""Requests and what happens to them, by whole configurations."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routings import CHAT, Recorder, Scripted, config_of, decision, leaf, route, tree, user

from tandem.router.calls import Refused
from tandem.router.routing.route import SignalRouting

COMPLETIONS = "/v1/completions"
SIGNALS = {
    "keywords": [
        {"name": "code", "operator": "OR", "keywords": ["python", "rust"]},
        {"name": "law", "operator": "OR", "keywords": ["contract"]},
    ],
    "context": [{"name": "long", "min_tokens": "1K"}, {"name": "short", "max_tokens": "50"}],
    "embeddings": [{"name": "help", "threshold": 0.5, "candidates": ["password reset"]}],
}
CONFIG = config_of(
    **SIGNALS,
    decisions=[
        decision("panel", 100, tree("AND", leaf("keyword", "law"), leaf("context", "long")), panel=["alpha", "beta"]),
        decision("long", 50, leaf("context", "long"), models=["gamma"]),
        decision("code", 40, tree("AND", leaf("keyword", "code"), leaf("context", "short")), models=["beta", "alpha"]),
        decision("help", 30, leaf("embedding", "help"), models=["alpha"]),
    ],
    default="gamma",
)


@pytest.mark.parametrize(
    ("body", "name", "models", "signals"),
    [
        (user("write Python"), "code", ("beta", "alpha"), ("keyword:code", "context:short")),
        (user("write Python", model="MoM"), "code", ("beta", "alpha"), ("keyword:code", "context:short")),
        (user("python " * 1000, model="vllm-sr/auto"), "long", ("gamma",), ("keyword:code", "context:long")),
        (user("contract " * 1000), "panel", ("alpha", "beta"), ("keyword:law", "context:long")),
        (user("contract", max_tokens=2000), "panel", ("alpha", "beta"), ("keyword:law", "context:long")),
        (user("I forgot it"), "help", ("alpha",), ("context:short", "embedding:help")),
        (user("python", model="beta"), None, ("beta",), ()),
        (user("contract " * 1000, model="vllm-sr/fusion"), "panel", ("alpha", "beta"), ("keyword:law", "context:long")),
    ],
)
def test_routes(body, name, models, signals):
    found = route(CONFIG, body, semantic=Scripted({"help": 0.7}))
    assert (found.decision.name if found.decision else None) == name
    assert found.models == models
    assert found.signals == signals


def test_default_model():
    found = route(CONFIG, user("anything at all"), semantic=Scripted({"help": 0.2}))
    assert (found.models, found.decision, found.degraded) == (("gamma",), None, {})
    assert set(found.timings_sec) == {"keyword", "context", "embedding"}


def test_only_families_that_matter_are_evaluated():
    semantic = Scripted({"help": 0.9})
    found = route(CONFIG, user("write python"), semantic=semantic)
    assert semantic.texts == []
    assert set(found.timings_sec) == {"keyword", "context"}
    only = config_of(**SIGNALS, decisions=[decision("all", 1)])
    assert route(only, user("python")).timings_sec == {}


def test_embeddings_that_are_down_leave_the_other_rules():
    recorder = Recorder()
    found = route(CONFIG, user("I forgot it"), semantic=Scripted(reason="timeout"), observer=recorder)
    assert found.models == ("gamma",)
    assert found.degraded == {"embedding": "embeddings: timeout"}
    assert recorder.names("degraded") == [("embedding", "timeout")]


def test_a_condition_that_cannot_be_evaluated_does_not_hold():
    config = config_of(**SIGNALS, decisions=[decision("not", 1, tree("NOT", leaf("embedding", "help")))])
    assert route(config, user("x"), semantic=Scripted(reason="down")).decision.name == "not"


def test_equal_priorities():
    signals = {**SIGNALS, "embeddings": [{"name": n, "threshold": 0.5, "candidates": [n]} for n in ("a", "b")]}
    ties = [decision("first", 10, leaf("embedding", "a")), decision("second", 10, leaf("embedding", "b"))]
    config = config_of(**signals, decisions=ties)
    assert route(config, user("x"), semantic=Scripted({"a": 0.6, "b": 0.8})).decision.name == "second"
    assert route(config, user("x"), semantic=Scripted({"a": 0.8, "b": 0.8})).decision.name == "first"


@pytest.mark.parametrize(
    ("body", "path", "status", "code", "message"),
    [
        ({}, CHAT, 400, "invalid_request", "no model; name one of vllm-sr/auto, auto, MoM, vllm-sr/fusion, alpha"),
        ({"model": 3}, CHAT, 400, "invalid_request", "model: the number 3"),
        ({"model": ""}, CHAT, 400, "invalid_request", "model: empty text"),
        (user("x", model="nobody"), CHAT, 404, "model_not_found", "the model 'nobody' does not exist"),
        ({"model": "auto"}, CHAT, 400, "invalid_request", "no messages"),
        ({"model": "alpha", "messages": {"role": "user"}}, CHAT, 400, "invalid_request", "messages: a mapping"),
        ({"model": "auto", "messages": ["x"]}, CHAT, 400, "invalid_request", r"messages\[0\]"),
        ({"model": "auto"}, COMPLETIONS, 400, "invalid_request", "no prompt"),
        (user("x", model="vllm-sr/fusion"), CHAT, 400, "no_matching_decision", "no fusion decision fits"),
        ({"model": "vllm-sr/fusion", "prompt": "x"}, COMPLETIONS, 400, "invalid_request", "of /v1/chat/completions;"),
        ({"model": "auto", "input": "x"}, "/v1/embeddings", 400, "invalid_request", "name a model for /v1/embeddings"),
        ([], CHAT, 400, "invalid_request", "the body is "),
    ],
)
def test_refusals(body, path, status, code, message):
    with pytest.raises(Refused, match=message) as refused:
        route(CONFIG, body, path, semantic=Scripted())
    assert (refused.value.status, refused.value.code) == (status, code)


def test_no_decision_and_no_default():
    config = config_of(**SIGNALS, decisions=[decision("code", 1, leaf("keyword", "code"))])
    with pytest.raises(Refused, match="there is no default model") as refused:
        route(config, user("hello"))
    assert refused.value.status == 400


def test_a_fusion_name_says_that_embeddings_are_down():
    config = config_of(**SIGNALS, decisions=[decision("p", 1, leaf("embedding", "help"), panel=["alpha"])])
    with pytest.raises(Refused, match=r"no fusion decision fits .*\(embeddings: down\)"):
        route(config, user("x", model="vllm-sr/fusion"), semantic=Scripted(reason="down"))


def test_a_physical_model_serves_any_path():
    assert route(CONFIG, {"model": "beta", "input": "x"}, "/v1/embeddings").models == ("beta",)


def test_completions_see_their_prompt_and_no_panels():
    config = config_of(
        **SIGNALS,
        decisions=[
            decision("panel", 9, leaf("keyword", "law"), panel=["alpha"]),
            decision("code", 8, leaf("keyword", "code"), models=["beta"]),
            decision("rest", 1, models=["gamma"]),
        ],
    )
    assert route(config, {"model": "auto", "prompt": "python"}, COMPLETIONS).decision.name == "code"
    assert route(config, {"model": "auto", "prompt": ["a contract"]}, COMPLETIONS).decision.name == "rest"
    assert route(config, {"model": "auto", "prompt": [1, 2]}, COMPLETIONS).decision.name == "rest"
    assert route(config, user("a contract")).decision.name == "panel"


def test_names_of_the_configuration():
    general = {
        "router": {"auto_model_names": ["pick"]},
        "integrations": {"looper": {"fusion": {"model_names": ["jury"]}}},
    }
    config = config_of(decisions=[decision("all", 1, panel=["alpha"])], general=general)
    assert route(config, user("x", model="pick")).decision.name == "all"
    assert route(config, user("x", model="jury")).decision.name == "all"
    with pytest.raises(Refused, match="name one of pick, jury, alpha"):
        route(config, user("x", model="auto"))


def test_observer_is_told():
    recorder = Recorder()
    route(CONFIG, user("write python"), observer=recorder)
    assert recorder.names("signal_matched") == [("keyword", "code"), ("context", "short")]
    assert [family for family, seconds in recorder.names("family_evaluated")] == ["keyword", "context"]
    assert recorder.names("decided")[0][0] == "code"


def test_long_text_is_looked_through_too():
    body = user("x" * 200_000 + " python")
    config = config_of(**SIGNALS, decisions=[decision("code", 1, leaf("keyword", "code"))], default="alpha")
    assert route(config, body).decision.name == "code"


def test_very_many_messages():
    body = {"model": "auto", "messages": [{"role": "user", "content": "x"}] * 100_000}
    assert route(CONFIG, body).decision.name == "long"


def test_close():
    semantic = Scripted()
    asyncio.run(SignalRouting(CONFIG, semantic).close())
    assert semantic.closed


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["auto", "user", "text"])
keys = st.sampled_from(["role", "content", "type", "text", "tool_calls", "function", "arguments", "name", "image_url"])
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(), inner, max_size=4)
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["auto", "vllm-sr/fusion", "alpha", "nobody"]) | values,
        "messages": st.lists(st.dictionaries(keys, values | st.sampled_from(["user", "tool", "system"]))) | values,
        "prompt": values,
        "tools": values,
        "max_tokens": values,
        "response_format": values,
    },
)


@settings(deadline=None)
@given(bodies | values, st.sampled_from([CHAT, COMPLETIONS, "/v1/other"]))
def test_any_body_is_routed_or_refused(body, path):
    try:
        found = route(CONFIG, body, path, semantic=Scripted({"help": 0.4}))
    except Refused as error:
        refused = error
    else:
        assert found.models
        return
    assert refused.status in (400, 404)
    assert str(refused)
