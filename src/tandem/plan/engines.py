"""Plans for the engines of an inventory: what cannot work, and what their variables are if left out.

What is filled in depends on the inventory and the model's files alone, never on what was measured: a converge after
another measurement must find nothing to change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tandem.errors import TandemError
from tandem.plan.files import Files
from tandem.plan.model import IndivisibleError
from tandem.plan.plan import make_plan
from tandem.plan.request import GIB, Link, Nodes, Wishes

Engine = Mapping[str, Any]
#: By node: its variables ``plan_*``.
Figures = Mapping[str, Mapping[str, Any]]

#: What a node may say of itself, and what the cluster may say of tandem_link as long as it is not measured.
NODE_VARIABLES = ("plan_gpu_memory_gib", "plan_memory_bandwidth_gb_per_s", "plan_gpus")
LINK_VARIABLES = ("plan_link_gbit_per_s", "plan_link_latency_usec")
#: Speed must not decide what is filled in: ranks that wait for nothing, on memory that is alike.
_NO_WAIT, _ANY_BANDWIDTH = Link(1e18, 0.0), 1e9
_SHARE = 0.9
_WHOLE = (
    *("max_model_len", "max_num_seqs", "max_num_batched_tokens", "kv_cache_memory_bytes"),
    *("tensor_parallel_size", "pipeline_parallel_size", "block_size"),
)
_WORDS = {"dtype": "dtype", "kv_cache_dtype": "kv_cache_dtype", "quantization": "quantization"}
_WORDS |= {"mamba_ssm_cache_dtype": "recurrent_dtype"}
_FLAGS = ("enable_prefix_caching", "async_scheduling")
_SAME_DTYPES = {"half": "float16", "float": "float32"}
#: Options of vLLM that change what is counted here.
_NOT_COUNTED = (
    *("cpu_offload_gb", "data_parallel_size", "decode_context_parallel_size", "enable_lora", "hf_config_path"),
    *("hf_overrides", "kv_offloading_size", "limit_mm_per_prompt", "load_format", "prefill_context_parallel_size"),
    *("rope_scaling", "speculative_config"),
)
#: To write them would say nothing.
_DEFAULTS = {"kv_cache_dtype": "auto", "tensor_parallel_size": 1, "pipeline_parallel_size": 1}


@dataclass(frozen=True)
class EnginePlan:
    """What comes of an engine: a plan, or why there is none (``skipped``), or why it cannot work (``refused``)."""

    engine: Engine
    nodes: Nodes | None = None
    wishes: Wishes = field(default_factory=Wishes)
    document: dict[str, Any] | None = None
    filled: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    skipped: str = ""


def plan_engine(engine: Engine, engines: Sequence[Engine], files: Files, figures: Figures) -> EnginePlan:
    """Return the plan of one of the engines. Whatever is not understood makes no plan, and is no error."""
    if files.config is None:
        return EnginePlan(engine, skipped=files.missing)
    try:
        nodes, share = _nodes(engine, engines, figures)
        given = _given(engine)
        wishes = _wishes(given, share)
        document = make_plan(files.config, nodes, _NO_WAIT, wishes, files.checkpoint)
        shorter = [change["value"] for change in document["nearest"] if change["change"] == "max_model_len"]
        if shorter and wishes.max_model_len is None:
            wishes = replace(wishes, max_model_len=shorter[0])
            document = make_plan(files.config, nodes, _NO_WAIT, wishes, files.checkpoint)
    except IndivisibleError as error:
        return EnginePlan(engine, refused=_in_words_of_engines(str(error)))
    except TandemError as error:
        return EnginePlan(engine, skipped=_in_words_of_engines(str(error)))
    if not document["fits"]:
        return EnginePlan(engine, nodes, wishes, document, refused=_why_not(document))
    return EnginePlan(engine, nodes, wishes, document, _left_out(document["flags"], given))


def speed_of(plan: EnginePlan, files: Files, link: Link | None, bandwidth_bytes_per_s: float | None) -> dict[str, Any]:
    """Return the plan with the real speeds of memory and link, as it was decided without them."""
    if files.config is None or plan.nodes is None or plan.document is None:
        raise TandemError("there is no plan")
    if bandwidth_bytes_per_s is None:
        raise TandemError("its speed is not known: plan_memory_bandwidth_gb_per_s is not given")
    if link is None and plan.nodes.count > 1:
        raise TandemError(
            f"its speed is not known: the link is not measured yet, and {' and '.join(LINK_VARIABLES)} are not given"
        )
    nodes = replace(plan.nodes, memory_bandwidth_bytes_per_s=bandwidth_bytes_per_s)
    sizes = {name: plan.document[name] for name in ("tensor_parallel_size", "pipeline_parallel_size")}
    return make_plan(files.config, nodes, link, replace(plan.wishes, **sizes), files.checkpoint)


def bandwidth(engine: Engine, figures: Figures) -> float | None:
    """Return the bytes/s that the slowest GPU's memory reads, or None if a node does not say."""
    found = [_figure(figures, node, "plan_memory_bandwidth_gb_per_s") for node in engine["nodes"]]
    known = [value for value in found if value is not None]
    return 1e9 * min(known) if len(known) == len(found) else None


def promised_link(figures: Figures, node: str) -> Link | None:
    """Return the link as the inventory promises it, or None if it does not."""
    rate, latency = (_figure(figures, node, name) for name in LINK_VARIABLES)
    return None if rate is None or latency is None else Link(rate * 1e9 / 8, latency / 1e6)


def measured_link(verdicts: Sequence[Mapping[str, Any]], link: str, nodes: Sequence[str]) -> Link | None:
    """Return the worst that the fabric gate measured between any two of the nodes, or None if a pair is missing.

    Latency is that of the smallest message, one way; bandwidth that of the largest.
    """
    pairs = [verdict for verdict in verdicts if verdict["link"] == link and set(verdict["nodes"]) <= set(nodes)]
    latencies: list[float] = []
    rates: list[float] = []
    for verdict in pairs:
        of_pair = _first(verdict, "latency_typical_usec"), _first(verdict, "bandwidth_avg_gbit_per_s", largest=True)
        if not all(of_pair):
            return None
        latencies += of_pair[0]
        rates += of_pair[1]
    if not pairs or len(pairs) < math.comb(len(nodes), 2):
        return None
    return Link(min(rates) * 1e9 / 8, max(latencies) / 1e6)


def _first(verdict: Mapping[str, Any], metric: str, *, largest: bool = False) -> list[float]:
    """Return a metric at the smallest or largest message, one for each direction that has it."""
    found = []
    for client in verdict["nodes"]:
        points = [
            (point["message_size_bytes"], point[metric])
            for point in verdict["series"]
            if point["client"] == client and point.get(metric)
        ]
        found += [float((max if largest else min)(points)[1])] if points else []
    return found


def _nodes(engine: Engine, engines: Sequence[Engine], figures: Figures) -> tuple[Nodes, float]:
    """Return the engine's nodes, as good as the least of them, and the share of their memory that it may have."""
    per_node = int(engine.get("gpus_per_node") or 1)
    memory: list[float] = []
    sharing = 1
    for node in engine["nodes"]:
        size = _figure(figures, node, "plan_gpu_memory_gib")
        if size is None:
            raise TandemError(f"plan_gpu_memory_gib of {node} is not given")
        memory.append(size)
        here = [int(other.get("gpus_per_node") or 1) for other in engines if node in other["nodes"]]
        gpus = _figure(figures, node, "plan_gpus")
        if gpus is not None and per_node > gpus:
            raise IndivisibleError(f"it wants {per_node} GPUs of {node}, which has {gpus:g} (plan_gpus)")
        # Unless it is said how many GPUs there are, engines of a node share them.
        sharing = max(sharing, len(here) if gpus is None else math.ceil(sum(here) / gpus))
    found = Nodes(len(engine["nodes"]), per_node, round(min(memory) * GIB), _ANY_BANDWIDTH)
    return found, math.floor(100 * _SHARE / sharing) / 100


def _figure(figures: Figures, node: str, name: str) -> float | None:
    value = figures.get(node, {}).get(name)
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise TandemError(f"{name} of {node} is {value!r}; it must be a number above 0")
    return number


def _given(engine: Engine) -> dict[str, Any]:
    """Return the options that the user chose, by their names in an engine; extra arguments win, as they do for vLLM."""
    given = {name: value for name, value in engine.items() if value is not None}
    for key, value in (engine.get("extra_arguments") or {}).items():
        name = str(key).lstrip("-").replace("-", "_")
        if name in _NOT_COUNTED:
            raise TandemError(f"extra_arguments has {key}, which the planner does not count")
        given |= {name.removeprefix("no_"): not value} if name.startswith("no_") else {name: value}
    return given


def _wishes(given: Mapping[str, Any], share: float) -> Wishes:
    wanted: dict[str, Any] = {name: _number(name, given[name], int) for name in _WHOLE if name in given}
    wanted |= {ours: str(given[name]) for name, ours in _WORDS.items() if name in given}
    wanted |= {name: given[name] not in (False, "false", "False") for name in _FLAGS if name in given}
    if "dtype" in wanted:
        wanted["dtype"] = _SAME_DTYPES.get(wanted["dtype"], wanted["dtype"])
    wanted["gpu_memory_utilization"] = _number(
        "gpu_memory_utilization", given.get("gpu_memory_utilization", share), float
    )
    return Wishes(**wanted, all_gpus=True)


def _number(name: str, value: object, kind: type[int | float]) -> float:
    """Return a number; on Ansible's command line it is a text."""
    try:
        return kind(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else kind("")
    except ValueError as error:
        raise TandemError(f"{name} is {value!r}, which the planner does not understand") from error


def _left_out(flags: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    missing = {name: value for name, value in flags.items() if name not in given and value != _DEFAULTS.get(name)}
    if "kv_cache_memory_bytes" in given:
        # Beside a fixed size the share has no effect, except that vLLM refuses to start where less is free.
        missing.pop("gpu_memory_utilization", None)
    return missing


def _why_not(document: Mapping[str, Any]) -> str:
    refusing = [text for text in document["reasons"] if text.startswith(("does not fit", "vLLM refuses"))]
    changes = [change["text"] for change in document["nearest"]]
    if not changes:
        needed = max(rank["total_bytes"] + rank["missing_bytes"] for rank in document["memory_per_rank"])
        changes = [f"{needed / GIB:.2f} GiB or more for each rank (plan_gpu_memory_gib)"]
    return f"{'; '.join(refusing)}; what works: {', or '.join(changes)}"


def _in_words_of_engines(text: str) -> str:
    """Return a message of the planner without the dashes of its command line."""
    return re.sub(r"--([a-z][a-z-]+)", lambda option: option[1].replace("-", "_"), text)
