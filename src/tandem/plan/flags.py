"""vLLM's flags for a plan, each with its reason."""

from __future__ import annotations

from typing import Any

from tandem.plan.candidates import Candidate
from tandem.plan.request import Wishes
from tandem.plan.subject import Subject

#: Blocks are rounded down anyway; a round number is easier to recognise.
ROUND_BYTES = 2**20


def flags_of(
    subject: Subject, chosen: Candidate, wishes: Wishes, max_model_len: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return values and reasons, by the names that engine variables have."""
    room = min(each.kv_cache for each in chosen.memories)
    rounded = room if wishes.kv_cache_memory_bytes else room // ROUND_BYTES * ROUND_BYTES
    fitting = int(min(chosen.concurrency, wishes.max_num_seqs)) if chosen.fits else wishes.max_num_seqs
    rows: list[tuple[str, Any, str]] = [
        ("tensor_parallel_size", chosen.layout.tensor, _tensor_reason(chosen)),
        ("pipeline_parallel_size", chosen.layout.pipeline, _pipeline_reason(chosen)),
        (
            "max_model_len",
            max_model_len,
            "the wanted length" if wishes.max_model_len else "the longest that the model was made for",
        ),
        (
            "max_num_seqs",
            wishes.max_num_seqs,
            f"{fitting} of them fit at full length at once; vLLM makes further ones wait"
            if fitting < wishes.max_num_seqs
            else "as many as are wanted fit at full length at once",
        ),
        (
            "max_num_batched_tokens",
            chosen.tokens_per_step,
            "long prompts are computed in pieces of this, so that running answers go on in between",
        ),
        (
            "gpu_memory_utilization",
            wishes.gpu_memory_utilization,
            "the rest is left to the system, to graphs and to what was not foreseen",
        ),
        (
            "kv_cache_memory_bytes",
            rounded,
            "what is left on the fullest rank; with a fixed number every start is alike",
        ),
        ("enable_prefix_caching", subject.form.prefix_caching, _prefix_reason(subject)),
        ("dtype", subject.dtype, "the weights are of this type" if wishes.dtype == "auto" else "as wanted"),
        (
            "kv_cache_dtype",
            "auto" if wishes.kv_cache_dtype == "auto" else subject.kv_cache_dtype,
            f"{subject.form.kv_bytes} bytes for each number",
        ),
    ]
    return {name: value for name, value, _ in rows}, {name: reason for name, _, reason in rows}


def _tensor_reason(chosen: Candidate) -> str:
    if chosen.layout.tensor == 1:
        return "each layer stays whole on one GPU: ranks do not wait for each other"
    share = 100 * chosen.single.all_reduce_share
    return f"each GPU reads a share of every layer; ranks wait for the link for {share:.1f} % of a token's time"


def _pipeline_reason(chosen: Candidate) -> str:
    if chosen.layout.pipeline == 1:
        return "all layers are in one stage"
    return "layers are on several stages: little traffic, and one answer is no faster than on one of them"


def _prefix_reason(subject: Subject) -> str:
    if subject.form.prefix_caching:
        return "prompts that begin alike are computed once"
    return "as wanted, or as a model without attention has nothing to share"
