# ruff: noqa: E501 (a table)
"""Every mistake with the router that is caught before a node changes: what is spoilt, and what is said about it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from plugins.filter.inventory import _router_problems
from tandem.front.keys import KEY, variable
from tandem.inventory.check import find_problems, read_cluster
from tandem.inventory.ports import ports_of
from tests.unit.tandem.inventory.conftest import Draft

SECRET = "s3cret-s3cret-s3cret"
CLOUD = {"name": "far", "base_url": "https://api.example/v1", "key": "vendor"}
TLS = {"model_router_tls_certificate": "/etc/pki/a.pem", "model_router_tls_key": "/etc/pki/a.key"}
IMAGES = {
    "model_router_vllm_sr_image": "registry.example/vllm-sr:v0.4.0",
    "model_router_envoy_image": f"registry.example/envoy@sha256:{'0' * 64}",
}


class Case(NamedTuple):
    """A mistake, and the one problem that it makes."""

    name: str
    variables: dict[str, Any]
    variable: str
    words: str


# fmt: off
CASES = [
    Case("unknown variable", {"model_router_prot": 1}, "model_router_prot", "did you mean model_router_port?"),
    Case("unknown engine", {"model_router_engine": "nginx"}, "model_router_engine", "choose one of embedded, vllm_sr"),
    Case("no address", {"model_router_listen_address": "lo"}, "model_router_listen_address", "give an IP address"),
    Case("open", {"model_router_listen_address": "0.0.0.0"}, "model_router_listen_address", "without TLS; keep 127.0.0.1"),
    Case("open without keys", {"model_router_listen_address": "::", "model_router_clients": []}, "model_router_listen_address", "without TLS and client keys"),
    Case("TLS without keys", {"model_router_listen_address": "::", "model_router_clients": [], **TLS}, "model_router_listen_address", "without client keys"),
    Case("no key", {"model_router_tls_certificate": "/etc/pki/a.pem"}, "model_router_tls_key", "is missing"),
    Case("no certificate", {"model_router_tls_key": "/etc/pki/a.key"}, "model_router_tls_certificate", "is missing"),
    Case("bad client", {"model_router_clients": ["über"]}, "model_router_clients", "begin with a letter"),
    Case("client twice", {"model_router_clients": ["a", "a"]}, "model_router_clients", "a is named twice"),
    Case("one file for two", {"model_router_clients": ["a-b", "a_b"]}, "model_router_clients", "would share the file CLIENT_A_B"),
    Case("key of nobody", {"model_router_client_keys": {"lba": SECRET}, "model_router_clients": ["lab"]}, "model_router_client_keys.lba", "did you mean lab?"),
    Case("short key", {"model_router_client_keys": {"default": "s3cret"}}, "model_router_client_keys.default", "found what cannot be a key"),
    Case("keys that are text", {"model_router_client_keys": SECRET}, "model_router_client_keys", "found a secret that is str"),
    Case("key of no cloud", {"model_router_upstream_keys": {"vendor": SECRET}}, "model_router_upstream_keys.vendor", "belongs to nobody"),
    Case("one key for two", {"model_router_clients": ["a", "b"], "model_router_client_keys": {"a": SECRET, "b": SECRET}}, "model_router_client_keys", "two clients have the same key"),
    Case("cloud without address", {"model_router_cloud_backends": [{"name": "far"}]}, "model_router_cloud_backends[far].base_url", "is missing"),
    Case("cloud with a literal key", {"model_router_cloud_backends": [CLOUD | {"api_key": SECRET}]}, "model_router_cloud_backends[far].api_key", "is an unknown key"),
    Case("two names for one", {"model_router_cloud_backends": [CLOUD | {"name": "first", "model": "x/y"}]}, "model_router_cloud_backends[first].model", "also served by an engine"),
    Case("no such default", {"model_router_default_model": "frist"}, "model_router_default_model", "did you mean first?"),
    Case("price of nobody", {"model_router_models": {"frist": {}}}, "model_router_models.frist", "did you mean first?"),
    Case("unknown part", {"model_router_models": {"first": {"price": {}}}}, "model_router_models.first.price", "did you mean pricing?"),
    Case("image of none", {"model_router_envoy_image": IMAGES["model_router_envoy_image"]}, "model_router_envoy_image", "has no effect"),
    Case("no image", {"model_router_engine": "vllm_sr", "model_router_vllm_sr_image": IMAGES["model_router_vllm_sr_image"]}, "model_router_envoy_image", "is missing"),
    Case("moving image", {"model_router_engine": "vllm_sr", **IMAGES, "model_router_envoy_image": "registry.example/envoy:newest"}, "model_router_envoy_image", "pin it by digest"),
    Case("taken port", {"model_router_port": 8000}, "model_router_port", "port 8000 on node1 is taken by vllm_engine_engines[first].port"),
    Case("port of root", {"model_router_port": 443}, "model_router_port", "use ports from 1024"),
    Case("port of the looper", {"model_router_engine": "vllm_sr", **IMAGES, "model_router_looper_port": 8801}, "model_router_looper_port", "port 8801 on node1 is taken"),
]
GOOD: list[dict[str, Any]] = [
    {},
    {"model_router_clients": []},
    {"model_router_listen_address": "0.0.0.0", **TLS},
    {"model_router_listen_address": "0.0.0.0", "model_router_accept_open_listener": True},
    {"model_router_engine": "vllm_sr", **IMAGES},
    {"model_router_client_keys": {"default": SECRET}, "model_router_cloud_backends": [CLOUD], "model_router_upstream_keys": {"vendor": SECRET}},
]
# fmt: on


@pytest.fixture
def router_draft() -> Draft:
    """Return a good description with a router on node1, which reaches the engine that node2 leads over the link."""
    draft = Draft()
    draft.groups["router"] = ["node1"]
    draft.variables["vllm_engine_accept_open_listener"] = True
    draft.engines[1]["listen_address"] = "192.168.100.2"
    return draft


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_said(router_draft: Draft, case: Case) -> None:
    router_draft.variables |= case.variables
    problems = find_problems(router_draft.finish())
    assert [problem.variable for problem in problems] == [case.variable], problems
    assert case.words in str(problems[0])
    assert SECRET not in str(problems[0])


@pytest.mark.parametrize("variables", GOOD)
def test_what_is_right_is_accepted(router_draft: Draft, variables: dict[str, Any]) -> None:
    router_draft.variables |= variables
    description = router_draft.finish()
    assert find_problems(description) == []
    assert _router_problems(description) == []


def test_an_engine_out_of_reach_names_the_address_that_would_do(router_draft: Draft) -> None:
    del router_draft.engines[1]["listen_address"]
    (problem,) = find_problems(router_draft.finish())
    assert problem.variable == "vllm_engine_engines[second].listen_address"
    assert "127.0.0.1 on node2 is out of reach for the router on node1" in problem.found
    assert "set it to 192.168.100.2, with vllm_engine_accept_open_listener: true" in problem.remedy


def test_nodes_that_do_not_meet_need_a_link(router_draft: Draft) -> None:
    router_draft.groups["nodes"].append("node3")
    router_draft.groups["router"] = ["node3"]
    router_draft.host_variables["node3"] = {}
    problems = find_problems(router_draft.finish())
    assert len(problems) == 1
    assert "or give both nodes an end of a link" in problems[0].remedy


def test_a_router_is_a_node(router_draft: Draft) -> None:
    router_draft.groups["router"] = ["node1", "laptop"]
    assert "laptop is not in the group nodes" in "".join(map(str, find_problems(router_draft.finish())))


def test_without_the_group_nothing_is_asked() -> None:
    draft = Draft()
    draft.variables["model_router_listen_address"] = "0.0.0.0"
    assert find_problems(draft.finish()) == []


@pytest.mark.parametrize(
    ("routing", "variable", "words"),
    [
        ({"signal": {}}, "model_router_routing.signal", "did you mean signals?"),
        (
            {"decisions": [{"name": "a", "priority": 1, "modelRefs": [{"model": "nobody"}]}]},
            "model_router_routing.decisions[0].modelRefs[0].model",
            "nobody",
        ),
    ],
)
def test_rules_are_checked_as_the_router_does(
    router_draft: Draft, routing: dict[str, Any], variable: str, words: str
) -> None:
    router_draft.variables["model_router_routing"] = routing
    (problem,) = _router_problems(router_draft.finish())
    assert problem.variable == variable
    assert words in str(problem)


def test_the_ports_of_a_router_are_known(router_draft: Draft) -> None:
    router_draft.variables |= {"model_router_metrics_port": 8803}
    cluster = read_cluster(router_draft.finish())
    ours = {use.first for use in ports_of(cluster, "node1") if use.variable.startswith("model_router")}
    assert ours == {8801, 8803}
    assert not [use for use in ports_of(cluster, "node2") if use.variable.startswith("model_router")]


def test_a_key_is_one_word() -> None:
    assert variable("CLIENT", "ci-2.b") == "CLIENT_CI_2_B"
    assert KEY.fullmatch("A" * 16)
    for bad in (
        '"] = true, ["aaaaaaaaaaaaaaa',
        "aaaaaaaaaaaaaaaa\nbbbb",
        "%REQ(authorization)%aaaaa",
        "$(reboot)aaaaaaaaa",
    ):
        assert not KEY.fullmatch(bad)
