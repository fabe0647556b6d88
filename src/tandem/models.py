"""Where the weights of a model lie on a node, computed from ``model_weights_models``: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tandem.errors import TandemError

MODELS_DIRECTORY = "/var/lib/tandem/models"
MANIFESTS_DIRECTORY = "/etc/tandem/models"


def _find(name: str, models: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for model in models:
        if model["name"] == name:
            return model
    known = ", ".join(str(model["name"]) for model in models) or "none"
    raise TandemError(f"model {name!r} is not in model_weights_models (there: {known}); add it or correct the engine")


def revision(model: Mapping[str, Any]) -> str:
    """Return the version of a model's files: the commit of a hub source, the given name of a path."""
    hub = model["source"].get("hub")
    return str(hub["revision"] if hub else model.get("revision", "1"))


def directory(name: str, models: Sequence[Mapping[str, Any]]) -> str:
    """Return the directory of the model ``name`` on a node; another revision is another directory."""
    return f"{MODELS_DIRECTORY}/{name}/{revision(_find(name, models))}"


def manifest(name: str, models: Sequence[Mapping[str, Any]]) -> str:
    """Return the sha256 manifest of the model ``name`` on a node."""
    return f"{MANIFESTS_DIRECTORY}/{name}@{revision(_find(name, models))}.sha256"


def nodes_of(name: str, engines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the nodes that need the model, each once; the first one brings it, the others copy from there."""
    return list(dict.fromkeys(node for engine in engines if engine["model"] == name for node in engine["nodes"]))


def models_on(
    models: Sequence[Mapping[str, Any]], engines: Sequence[Mapping[str, Any]], node: str
) -> list[Mapping[str, Any]]:
    """Return the models that an engine on ``node`` needs."""
    return [model for model in models if node in nodes_of(model["name"], engines)]
