"""A good description, against the real specifications of the roles."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.filter.inventory import read_specs
from tandem.inventory.description import Description, LockFile, Source

ROOT = Path(__file__).parents[4]
GOOD = yaml.safe_load((ROOT / "tests/fixtures/inventory/two_nodes.yml").read_text())
SPECS = read_specs(str(ROOT / "roles"))
SMALL = {
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "num_hidden_layers": 30,
    "max_position_embeddings": 2048,
    "vocab_size": 49152,
}


class Draft:
    """A description that a test may spoil: one set of variables for all hosts, more for single ones."""

    def __init__(self) -> None:
        good = copy.deepcopy(GOOD)
        self.groups: dict[str, list[str]] = good["groups"]
        self.variables: dict[str, Any] = good["variables"]
        self.host_variables: dict[str, dict[str, Any]] = {"node1": {}, "node2": {}}
        self.sources = {"/models/small": Source(config=dict(SMALL))}
        self.locks: dict[str, LockFile] = {}

    @property
    def links(self) -> Any:
        return self.variables["link_links"]

    @property
    def ends(self) -> Any:
        return self.links[0]["ends"]

    @property
    def models(self) -> Any:
        return self.variables["model_weights_models"]

    @property
    def engines(self) -> Any:
        return self.variables["vllm_engine_engines"]

    @property
    def config(self) -> Any:
        return self.sources["/models/small"].config

    def finish(self) -> Description:
        variables = {host: {**self.variables, **own} for host, own in self.host_variables.items()}
        return Description(variables, self.groups, SPECS, self.sources, self.locks)


@pytest.fixture
def draft() -> Draft:
    return Draft()
