"""Which packages come to the router's node, by its rules."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.unit.roles.render import ROOT

SIGNAL = {"signals": {"embeddings": [{"name": "help", "threshold": 0.3, "candidates": ["help me"]}]}}
ENDPOINT = {"model_catalog": {"embeddings": {"semantic": {"endpoint": {"base_url": "http://x/v1", "model": "m"}}}}}


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "requirements-3.11.lock"),
        ({"model_router_routing": {"signals": {"keywords": []}}}, "requirements-3.11.lock"),
        ({"model_router_routing": SIGNAL}, "requirements-embeddings-3.11.lock"),
        # The vectors of an endpoint are compared with numpy, too.
        ({"model_router_routing": SIGNAL, "model_router_global": ENDPOINT}, "requirements-embeddings-3.11.lock"),
    ],
)
def test_what_compares_meanings_comes_where_a_signal_does(variables: dict[str, Any], name: str) -> None:
    loader = DataLoader()
    plays = loader.load_from_file(str(ROOT / "playbooks/programs.yml"), trusted_as_template=True)
    play = next(play for play in plays if play["hosts"] == "router")
    facts = {"python": {"version": {"major": 3, "minor": 11}}}
    templar = Templar(
        loader, play["vars"] | variables | {"ansible_facts": facts, "playbook_dir": str(ROOT / "playbooks")}
    )
    assert templar.template(play["roles"][0]["vars"]["python_app_lock"]) == str(ROOT / "runtimes/router" / name)
    assert (ROOT / "runtimes/router" / name).is_file()
