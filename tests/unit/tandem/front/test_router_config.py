"""The router's configuration from engines, clouds and variables; judged by our own check and by upstream's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.filter.inventory import read_specs
from tandem.errors import TandemError
from tandem.front.backends import ports_on_links, reach
from tandem.front.config import router_config
from tandem.front.keys import describe
from tests.unit.tandem.router.router_configs import problems_of, upstream_says

ROOT = Path(__file__).parents[4]
SPEC = read_specs(str(ROOT / "roles"))["model_router"]
DEFAULTS = {name: option.get("default") for name, option in SPEC.items()}
LINKS = [
    {"name": "link1", "ends": {"node1": {"address": "192.168.101.1/24"}, "node2": {"address": "192.168.101.2/24"}}},
    {"name": "link0", "ends": {"node1": {"address": "192.168.100.1/30"}, "node2": {"address": "192.168.100.2/30"}}},
]
FIRST = {"name": "first", "served_model_name": "small", "nodes": ["node1", "node2"], "port": 8000}
SECOND = {"name": "second", "served_model_name": "large", "nodes": ["node2"], "port": 8001, "listen_address": "0.0.0.0"}
CLOUD = {"name": "far", "base_url": "https://api.example/v1", "provider": "openai", "weight": 1, "key": "vendor"}
FUSION = {
    "decisions": [
        {
            "name": "panel",
            "priority": 1,
            "rules": {"operator": "AND", "conditions": []},
            "algorithm": {
                "type": "fusion",
                "fusion": {
                    "model": "small",
                    "analysis_models": ["small", "large", "far"],
                    "analysis_template": "Compare {{responses}} at $$5",
                },
            },
        }
    ]
}


def config(*engines: dict[str, Any], router: str = "node1", **settings: Any) -> dict[str, Any]:
    return router_config(DEFAULTS | settings, engines, router, LINKS, "link0")


@pytest.mark.parametrize(
    ("listening", "router", "address"),
    [
        ("127.0.0.1", "node1", "127.0.0.1"),
        ("0.0.0.0", "node1", "127.0.0.1"),
        ("192.168.100.1", "node1", "192.168.100.1"),
        ("127.0.0.1", "node2", None),
        ("::1", "node2", None),
        ("0.0.0.0", "node2", "192.168.100.1"),
        ("192.168.101.1", "node2", "192.168.101.1"),
        ("0.0.0.0", "node3", None),
    ],
)
def test_an_engine_is_asked_where_the_routers_node_reaches_it(listening: str, router: str, address: str | None) -> None:
    assert reach(FIRST | {"listen_address": listening}, router, LINKS, "link0") == address


def test_an_engine_out_of_reach_has_no_configuration() -> None:
    with pytest.raises(TandemError, match=r"vllm_engine_engines\[first\].listen_address"):
        config(FIRST, router="node2")


def test_the_ports_on_links_are_those_of_engines_that_listen_there() -> None:
    engines = [FIRST, SECOND, FIRST | {"port": 8002, "listen_address": "192.168.101.1"}]
    assert ports_on_links(engines, LINKS) == ["8002"]


def test_engines_and_clouds_become_models() -> None:
    more = FIRST | {"name": "twin", "port": 8005}
    models = config(FIRST, SECOND, more, model_router_cloud_backends=[CLOUD, CLOUD | {"name": "small", "weight": 0}])[
        "providers"
    ]["models"]

    assert [model["name"] for model in models] == ["small", "large", "far"]
    small = models[0]["backend_refs"]
    assert [(b.get("endpoint") or b["base_url"], b["api_key_env"], b.get("weight", 1)) for b in small] == [
        ("127.0.0.1:8000", "ENGINE_FIRST", 1),
        ("127.0.0.1:8005", "ENGINE_TWIN", 1),
        ("https://api.example/v1", "UPSTREAM_VENDOR", 0),
    ]
    assert models[1]["backend_refs"][0]["endpoint"] == "192.168.100.2:8001"
    assert "reliability" not in models[2]


@pytest.mark.parametrize("engine", ["embedded", "vllm_sr"])
def test_the_whole_is_accepted_by_both_checks(engine: str, tmp_path: Path) -> None:
    document = config(
        FIRST,
        SECOND,
        model_router_engine=engine,
        model_router_clients=["lab", "ci-2"],
        model_router_cloud_backends=[CLOUD | {"model": "vendor/far"}],
        model_router_models={"far": {"pricing": {"prompt_per_1m": 1.5}}, "small": {"reliability": {"retry_count": 0}}},
        model_router_routing=FUSION,
        model_router_global={"integrations": {"looper": {"timeout_seconds": 90}}},
    )
    text = yaml.safe_dump(document, sort_keys=False)
    assert problems_of(text) == ()
    assert upstream_says(tmp_path / "router.yaml", text) == ""
    assert document["listeners"][0]["api_keys"] == ["${CLIENT_LAB}", "${CLIENT_CI_2}"]
    assert document["global"]["integrations"]["looper"]["timeout_seconds"] == 90


def test_only_upstream_needs_a_listener_for_its_own_calls() -> None:
    listeners = config(FIRST, model_router_engine="vllm_sr", model_router_listen_address="192.168.100.1")["listeners"]
    assert [(one["address"], one["port"], "api_keys" in one) for one in listeners] == [
        ("192.168.100.1", 8801, True),
        ("127.0.0.1", 8802, False),
    ]
    assert len(config(FIRST)["listeners"]) == 1


def test_keys_are_named_and_never_in_the_configuration() -> None:
    settings = {
        "model_router_clients": ["lab"],
        "model_router_cloud_backends": [CLOUD, CLOUD | {"name": "other"}],
        "model_router_client_keys": {"lab": "a-key-nobody-may-see"},
        "model_router_upstream_keys": {"vendor": "a-key-nobody-may-see"},
    }
    assert describe(DEFAULTS | settings, [FIRST]) == [
        {"kind": "client", "name": "lab", "variable": "CLIENT_LAB"},
        {"kind": "engine", "name": "first", "variable": "ENGINE_FIRST", "node": "node1"},
        {"kind": "upstream", "name": "vendor", "variable": "UPSTREAM_VENDOR"},
    ]
    assert "nobody-may-see" not in json.dumps(config(FIRST, **settings))
