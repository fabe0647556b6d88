"""What the control node knows of the files of a model in the inventory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.errors import TandemError
from tandem.plan import config, weights
from tandem.plan.config import Config
from tandem.plan.weights import Checkpoint

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Files:
    """A model's config and exact bytes, or why there is no config."""

    config: Config | None = None
    checkpoint: Checkpoint | None = None
    missing: str = ""


def read(model: Mapping[str, Any]) -> Files:
    """Return what is known of an entry of ``model_weights_models``. What cannot be read is no error, but said."""
    source = model.get("source")
    source = source if isinstance(source, dict) else {}
    named, path, hub = model.get("config"), source.get("path"), source.get("hub")
    try:
        if named:
            return _read(Path(str(named)).expanduser())
        if path:
            return _read(Path(str(path)).expanduser() / "config.json")
        cached = _in_cache(hub) if isinstance(hub, dict) else None
        if cached is not None:
            return _read(cached)
    except TandemError as error:
        return Files(missing=str(error).removeprefix("--config ").removeprefix("--weights "))
    except (OSError, RuntimeError) as error:  # a directory that may not be entered, or the home of nobody
        return Files(missing=str(error))
    return Files(
        missing="its config.json is not on the control node; name a copy in "
        f"model_weights_models[{model.get('name')}].config"
    )


def _read(path: Path) -> Files:
    """Read a config, and beside it the index or the headers of the weights, if they are there."""
    found = config.load(path)
    if (path.parent / INDEX).is_file():
        return Files(found, weights.read(path.parent / INDEX))
    return Files(found, weights.read(path.parent) if any(path.parent.glob("*.safetensors")) else None)


def _in_cache(hub: Mapping[str, Any]) -> Path | None:
    """Return the config that the hub's client keeps on the control node, of exactly this commit."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository, revision = str(hub.get("repository")).replace("/", "--"), str(hub.get("revision"))
    path = cache / f"models--{repository}" / "snapshots" / revision / "config.json"
    return path if path.is_file() else None
