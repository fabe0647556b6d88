"""Where weights lie and who brings them."""

import pytest

from tandem import models
from tandem.errors import TandemError

COMMIT = "a09a35458c702b33eeacc393d103063234e8bc28"
MODELS = [
    {"name": "local", "source": {"path": "/weights"}},
    {"name": "hub", "source": {"hub": {"repository": "o/n", "revision": COMMIT}}, "revision": "ignored"},
]
ENGINES = [
    {"model": "local", "nodes": ["b", "a"]},
    {"model": "local", "nodes": ["a", "c"]},
    {"model": "hub", "nodes": ["c"]},
]


def test_another_revision_is_another_directory_and_another_manifest() -> None:
    assert models.directory("local", MODELS) == "/var/lib/tandem/models/local/1"
    assert models.directory("hub", MODELS) == f"/var/lib/tandem/models/hub/{COMMIT}"
    assert models.manifest("hub", MODELS) == f"/etc/tandem/models/hub@{COMMIT}.sha256"


def test_the_first_node_brings_the_weights_and_each_is_named_once() -> None:
    assert models.nodes_of("local", ENGINES) == ["b", "a", "c"]
    assert models.nodes_of("none", ENGINES) == []


def test_a_node_needs_the_models_of_its_engines() -> None:
    assert [model["name"] for model in models.models_on(MODELS, ENGINES, "c")] == ["local", "hub"]
    assert [model["name"] for model in models.models_on(MODELS, ENGINES, "b")] == ["local"]


def test_an_unknown_model_is_named_with_those_that_exist() -> None:
    with pytest.raises(TandemError, match=r"'nope' is not in model_weights_models \(there: local, hub\)"):
        models.directory("nope", MODELS)
