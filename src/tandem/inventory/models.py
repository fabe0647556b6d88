"""Can the models be brought, and can they be cut as the engines want?"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.inventory.description import Cluster, Source
from tandem.inventory.problems import Problem, find_duplicates, join_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def read_source(path: str) -> Source:
    """Read the config.json of the weights at a path on this machine."""
    directory = Path(path)
    if not directory.is_dir():
        return Source(fault="no such directory on the control node")
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        return Source(fault=f"cannot read config.json there: {error.strerror}")
    except ValueError as error:
        return Source(fault=f"config.json there is not JSON: {error}")
    if not isinstance(config, dict):
        return Source(fault="config.json there is not an object")
    return Source(config=config)


def source_bytes(path: str) -> int:
    """Return the size of the weights at a path on this machine."""
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


def find_model_problems(cluster: Cluster) -> Iterator[Problem]:
    """Check where each model comes from."""
    for name in find_duplicates([str(model["name"]) for model in cluster.models]):
        yield Problem(f"model_weights_models[{name}]", "is defined twice", "give each model a name of its own")
    for model in cluster.models:
        variable = f"model_weights_models[{model['name']}]"
        if model["name"] and not NAME.fullmatch(str(model["name"])):
            yield Problem(
                f"{variable}.name", "is used as a directory", "use letters, digits, dots, dashes, underscores"
            )
        if model["source"] is not None:
            yield from _check_source(cluster, f"{variable}.source", model["source"])


def _check_source(cluster: Cluster, variable: str, source: Mapping[str, Any]) -> Iterator[Problem]:
    path, hub = source.get("path"), source.get("hub")
    if bool(path) == bool(hub):
        yield Problem(variable, f"has {'both' if path else 'neither'} of path and hub", "give one")
    if path:
        fault = cluster.sources.get(path, Source()).fault
        if fault:
            yield Problem(f"{variable}.path", f"found {path}: {fault}", "put the weights there, or correct the path")
    if hub:
        revision = hub.get("revision")
        if revision is not None and not COMMIT.fullmatch(revision):
            yield Problem(
                f"{variable}.hub.revision",
                f"found {revision!r}",
                "give the commit, 40 hexadecimal digits: a branch or tag moves, and what was tested is what must run",
            )
        repository = hub.get("repository")
        if repository is not None and not REPOSITORY.fullmatch(repository):
            yield Problem(f"{variable}.hub.repository", f"found {repository!r}", "write it as organisation/name")


def config_of(cluster: Cluster, model_name: str) -> Mapping[str, Any] | None:
    """Return the part of a model's configuration that describes its text layers, if it is at hand."""
    for model in cluster.models:
        if model["name"] == model_name and model["source"]:
            config = cluster.sources.get(model["source"].get("path") or "", Source()).config
            if config is None:
                return None
            text: Mapping[str, Any] = config.get("text_config") or config.get("llm_config") or config
            return text
    return None


def find_shape_problems(engine: Mapping[str, Any], variable: str, config: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that the model can be cut into the engine's parts, by vLLM's rules.

    The vocabulary needs no check: vLLM pads it.
    """
    model, tensor, pipeline = engine["model"], engine["tensor_parallel_size"], engine["pipeline_parallel_size"]
    heads = config.get("num_attention_heads")
    kv_heads = config.get("num_key_value_heads") or heads
    layers = config.get("num_hidden_layers")
    if tensor and isinstance(heads, int) and isinstance(kv_heads, int):
        if heads % tensor:
            yield Problem(
                f"{variable}.tensor_parallel_size",
                f"{tensor} does not divide the {heads} attention heads of {model}",
                f"use one of {join_words(_possible_sizes(heads, kv_heads))}, or another model",
            )
        elif kv_heads % tensor and tensor % kv_heads:
            yield Problem(
                f"{variable}.tensor_parallel_size",
                f"{tensor} neither divides the {kv_heads} key-value heads of {model} nor is a multiple of them",
                f"use one of {join_words(_possible_sizes(heads, kv_heads))}",
            )
    if pipeline and isinstance(layers, int) and pipeline > layers:
        yield Problem(f"{variable}.pipeline_parallel_size", f"found {pipeline}", f"{model} has only {layers} layers")
    yield from _check_length(engine, variable, config)


def _possible_sizes(heads: int, kv_heads: int) -> list[int]:
    return [n for n in range(1, heads + 1) if heads % n == 0 and (kv_heads % n == 0 or n % kv_heads == 0)]


def _check_length(engine: Mapping[str, Any], variable: str, config: Mapping[str, Any]) -> Iterator[Problem]:
    longest, wanted = config.get("max_position_embeddings"), engine["max_model_len"]
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    scaled = str(rope.get("rope_type", rope.get("type", "default"))) != "default"
    overridden = {str(key).replace("_", "-") for key in engine["extra_arguments"] or {}} & {
        "hf-overrides",
        "rope-scaling",
    }
    if isinstance(longest, int) and wanted and wanted > longest and not scaled and not overridden:
        yield Problem(
            f"{variable}.max_model_len",
            f"found {wanted}, but {engine['model']} was made for {longest} positions",
            f"use at most {longest}, or scale its positions with extra_arguments: hf-overrides",
        )
