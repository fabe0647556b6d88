"""The planner's figures beside those of an engine. Pure: starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.planner.families import Model
from tandem.plan.config import Config
from tandem.plan.plan import make_plan
from tandem.plan.request import GIB, Nodes, Wishes

#: How every engine is started. The KV cache is no whole number of blocks, so that rounding shows.
KV_MEMORY_BYTES = 100_675_641
BLOCK_TOKENS, MAX_MODEL_LEN, MAX_NUM_SEQS, MAX_NUM_BATCHED_TOKENS = 128, 2048, 8, 2048

WEIGHTS, KV, STATE, CAPACITY = FIGURES = (
    "weight bytes per rank",
    "KV bytes per token",
    "state bytes per sequence",
    "capacity in tokens",
)
#: How far from 1 a ratio may be; all else is to be the very number.
MOST_OFF = {WEIGHTS: 0.01}


@dataclass(frozen=True)
class Pair:
    """One figure twice."""

    what: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Return ours / theirs; two zeros are equal."""
        if self.theirs == 0:
            return 1.0 if self.ours == 0 else float("inf")
        return self.ours / self.theirs

    @property
    def fine(self) -> bool:
        """Say whether the planner is near enough."""
        return abs(self.ratio - 1) <= MOST_OFF.get(self.what, 0)


def plan_of(model: Model, found: Mapping[str, Any]) -> dict[str, Any]:
    """Plan the engine that was started. What vLLM chose for the processor it runs on is taken from it."""
    ranks = len(found["ranks"])
    return make_plan(
        Config(model.config, "config.json"),
        Nodes(1, ranks, GIB, 1e9),
        None,
        Wishes(
            max_model_len=MAX_MODEL_LEN,
            max_num_seqs=MAX_NUM_SEQS,
            max_num_batched_tokens=MAX_NUM_BATCHED_TOKENS,
            dtype=model.dtype,
            kv_cache_dtype=model.kv_cache_dtype,
            recurrent_dtype=found["recurrent_dtype"],
            tensor_parallel_size=ranks,
            pipeline_parallel_size=1,
            kv_cache_memory_bytes=KV_MEMORY_BYTES,
            # Larger blocks are the planner's to find out; smaller ones a kernel insists on (latent attention).
            block_size=min(BLOCK_TOKENS, found["block_tokens"]),
            enable_prefix_caching=found["prefix_caching"],
            async_scheduling=found["async_scheduling"],
            images=False,
        ),
    )


def compare(plan: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Return the figures side by side. The KV cache and states are those of all ranks together."""
    ranks = found["ranks"]
    growing = plan["kv_bytes_per_token_per_rank"] * len(ranks)
    windows = sum(window["bytes_per_token"] for window in plan["kv_window"])
    return (
        Pair(WEIGHTS, plan["weight_bytes_per_rank"], max(rank["weight_bytes"] for rank in ranks)),
        Pair(KV, growing + windows, sum(_bytes_per_token(rank) for rank in ranks)),
        Pair(STATE, plan["state_bytes_per_sequence"], sum(_state_bytes(rank) for rank in ranks)),
        Pair(CAPACITY, plan["kv_capacity_tokens"], found["kv_tokens"]),
    )


def _bytes_per_token(rank: Mapping[str, Any]) -> float:
    layers = [layer for layer in rank["layers"] if not layer["state"]]
    return float(sum(layer["bytes"] / (rank["blocks"] * layer["block_tokens"]) for layer in layers))


def _state_bytes(rank: Mapping[str, Any]) -> float:
    """Return one copy of the state of all layers: a block of theirs is one."""
    return float(sum(layer["bytes"] / rank["blocks"] for layer in rank["layers"] if layer["state"]))
