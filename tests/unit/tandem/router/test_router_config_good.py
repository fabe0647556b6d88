"""What is accepted, and what it becomes."""

import pytest
from router_configs import BASE, FIXTURES, GOOD, problems_of, upstream_says

from tandem.router.config.load import load
from tandem.router.config.values import Address, FromEnvironment


def config(name):
    loaded = load((FIXTURES / name).read_bytes())
    assert not loaded.problems
    return loaded.config


@pytest.mark.parametrize("name", GOOD)
def test_both_accept(name):
    config(name)
    assert upstream_says(FIXTURES / name) == ""


def test_both_accept_what_the_bad_ones_are_made_of(tmp_path):
    assert problems_of(BASE) == ()
    assert upstream_says(tmp_path / "config.yaml", BASE) == ""


def test_defaults_are_those_of_upstream():
    found = config("minimal.yaml")
    (model,) = found.providers.models
    (backend,) = model.backend_refs
    assert found.listeners[0].timeout == 300.0
    assert (backend.provider, backend.weight, backend.auth_header, backend.auth_prefix) == (
        "vllm",
        1,
        "Authorization",
        "Bearer",
    )
    assert model.reliability.retry_on == ("connect-failure", "refused-stream")
    assert found.general.router.names == ("vllm-sr/auto", "auto", "MoM")
    assert found.general.integrations.looper.fusion.names == ("vllm-sr/fusion",)
    assert found.general.integrations.looper.timeout_seconds == 30


def test_values_have_units_and_places():
    found = config("keywords.yaml")
    assert found.listeners[0].timeout == 600.0
    assert found.listeners[0].api_keys == (FromEnvironment("TEAM_A_KEY"), FromEnvironment("TEAM_B_KEY"))
    small, large = found.providers.models
    assert [ref.address for ref in small.backend_refs] == [
        Address("http", "192.168.100.1", 8000),
        Address("http", "192.168.100.2", 8000),
        Address("http", "fd00::1", 8000),
    ]
    reliability = small.reliability
    assert (reliability.base_ejection_time, reliability.health_check_interval) == (90.0, 0.5)
    (backend,) = large.backend_refs
    assert backend.address == Address("https", "api.example.com", 443, "/v1")
    assert backend.key == FromEnvironment("LARGE_KEY")
    assert backend.extra_headers["X-Auth-Token"] == FromEnvironment("GATEWAY_TOKEN", "Bearer ")
    assert found.routing.model_cards[1].description == "costs $ 8.50"
    assert [(signal.min_tokens, signal.max_tokens) for signal in found.routing.signals.context] == [
        (8001, None),
        (None, 1500),
        (64000, 64000),
    ]


def test_conditions_are_trees():
    work, long, rest = config("keywords.yaml").routing.decisions
    assert [child.operator for child in work.rules.conditions] == ["OR", "NOT"]
    assert long.rules.is_leaf
    assert (rest.rules.operator, rest.rules.conditions) == ("AND", ())


def test_fusion_knows_its_panel():
    careful, everyone, quick = config("fusion.yaml").routing.decisions
    assert (careful.panel, careful.quorum) == (("alpha", "beta", "gamma"), 2)
    assert (everyone.panel, everyone.quorum) == (("alpha", "beta"), 2)
    assert quick.fusion is None
    assert careful.annotations.tandem.max_cost == 0.05


HARMLESS = {
    "an empty list of what is not supported": ("  signals:\n", "  signals:\n    domains: []\n"),
    "no learning": ("  router: {", "  router: {learning: {enabled: false}, "),
    "the tier that all have": ("      priority: 10\n", "      priority: 10\n      tier: 0\n"),
    "an alias": (
        "      backend_refs: [{endpoint: ",
        "      provider_model_id: &id x\n      backend_refs: [{endpoint: ",
    ),
    "a lower-case operator": ("operator: NOT", "operator: not"),
    "a quoted number that is text": ("min_tokens: 8K", 'min_tokens: "8000"'),
    "a number for text, which upstream reads as text": ("min_tokens: 8K", "min_tokens: 8000"),
    "any order of keys": ("version: v0.3\n", "global: {}\nversion: v0.3\n"),
}


@pytest.mark.parametrize(("old", "new"), HARMLESS.values(), ids=HARMLESS)
def test_harmless(old, new, tmp_path):
    text = BASE.replace(old, new, 1)
    assert text != BASE
    if new.startswith("global"):
        text = text.replace("\nglobal:\n", "\n# ")[: text.rindex("\nglobal:\n")]
    assert problems_of(text) == ()
    assert upstream_says(tmp_path / "config.yaml", text) == ""


def test_aliases_are_read_as_what_they_stand_for(tmp_path):
    text = BASE.replace('[{endpoint: "gamma:8000"}]', '&refs [{endpoint: "gamma:8000"}]').replace(
        "routing:\n", "    - {name: delta, backend_refs: *refs}\nrouting:\n", 1
    )
    assert problems_of(text) == ()
    assert upstream_says(tmp_path / "config.yaml", text) == ""
