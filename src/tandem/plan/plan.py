"""The one entry point: what comes of a model on some nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tandem.errors import TandemError
from tandem.plan import kv, nearest, request, weights
from tandem.plan.candidates import Candidate, Refused, all_of, best_of
from tandem.plan.config import Config
from tandem.plan.flags import flags_of
from tandem.plan.model import IndivisibleError, stage_layers
from tandem.plan.reasons import reasons_of
from tandem.plan.request import Link, Nodes, Wishes
from tandem.plan.rope import longest_context
from tandem.plan.subject import Subject, subject_of
from tandem.plan.weights import Checkpoint

#: Raised when a key changes its meaning or goes.
SCHEMA_VERSION = 1


def make_plan(
    config: Config, nodes: Nodes, link: Link | None, wishes: Wishes, checkpoint: Checkpoint | None = None
) -> dict[str, Any]:
    """Return the plan as a document (plan.schema.json). What cannot be understood raises a TandemError."""
    request.check(nodes, link, wishes)
    if nodes.count > 1 and link is None:
        raise TandemError(
            f"{nodes.count} nodes have a link between them; give --link-gbit-per-s and --link-latency-usec, as the "
            "fabric gate measured them or as they are promised"
        )
    subject = subject_of(config, wishes, checkpoint)
    whole = subject.model(1)
    longest = longest_context(config, whole)
    max_model_len = wishes.max_model_len or longest
    if max_model_len is None:
        raise TandemError(f"{config.where} names no longest context; give --max-model-len")
    found, refused = all_of(subject, nodes, link, wishes, max_model_len)
    if not found:
        raise IndivisibleError(_nothing_works(subject, nodes, wishes, refused))
    chosen = best_of(found, wishes)
    too_long = longest is not None and max_model_len > longest
    fits = chosen.fits and not too_long
    flags, flag_reasons = flags_of(subject, chosen, wishes, max_model_len)
    return {
        "schema_version": SCHEMA_VERSION,
        "fits": fits,
        **_what(subject, max_model_len, wishes),
        **_where(chosen, nodes),
        **_room(subject, chosen),
        **_pace(subject, chosen, max_model_len),
        "flags": flags,
        "flag_reasons": flag_reasons,
        "alternatives": [_row(candidate, chosen) for candidate in found]
        + [
            {"tensor_parallel_size": one.tensor, "pipeline_parallel_size": one.pipeline, "refused": one.reason}
            for one in refused
        ],
        "nearest": []
        if fits
        else nearest.of(subject, chosen, replace(wishes, max_model_len=max_model_len), longest=longest),
        "reasons": reasons_of(subject, chosen, wishes, max_model_len, longest),
    }


def _nothing_works(subject: Subject, nodes: Nodes, wishes: Wishes, refused: list[Refused]) -> str:
    working = []
    for ranks in range(1, nodes.ranks + 1):
        try:
            subject.model(ranks)
        except TandemError:
            continue
        working.append(str(ranks))
    first = refused[0]
    given = [
        f"{option} {value}"
        for option, value in (
            ("--tensor-parallel-size", wishes.tensor_parallel_size),
            ("--pipeline-parallel-size", wishes.pipeline_parallel_size),
        )
        if value
    ]
    return (
        f"{' and '.join(given) or 'this model on these nodes'} cannot work: {first.reason}; tensor parallel sizes that "
        f"divide the model are {', '.join(working)} of up to {nodes.ranks} ranks"
    )


def _what(subject: Subject, max_model_len: int, wishes: Wishes) -> dict[str, Any]:
    whole = subject.model(1)
    tensors = whole.stage(0, 1)
    return {
        "architecture": whole.architecture,
        "dtype": subject.dtype,
        "kv_cache_dtype": subject.kv_cache_dtype,
        "recurrent_dtype": subject.recurrent_dtype,
        "quantization": subject.scheme.name,
        "max_model_len": max_model_len,
        "max_num_seqs": wishes.max_num_seqs,
        "parameters": weights.parameters(tensors),
        "active_parameters": round(weights.active_parameters(tensors)),
        "weight_bytes": subject.weight_bytes(whole),
        "vision_weight_bytes": round(
            sum(subject.scheme.bytes_of(tensor, subject.form.dtype_bytes) for tensor in whole.vision)
        ),
        "kv_bytes_per_token": kv.growing_bytes_per_token(whole, subject.form),
        "kv_window": kv.windows(whole, subject.form),
        "state_bytes_per_sequence": kv.states_bytes(whole, subject.form),
    }


def _where(chosen: Candidate, nodes: Nodes) -> dict[str, Any]:
    layout = chosen.layout
    return {
        "tensor_parallel_size": layout.tensor,
        "pipeline_parallel_size": layout.pipeline,
        "idle_gpus": nodes.ranks - layout.tensor * layout.pipeline,
        "weight_bytes_per_rank": max(each.weights for each in chosen.memories),
        "memory_per_rank": [
            {
                "stage": each.stage,
                "total_bytes": each.total,
                "weight_bytes": each.weights,
                "activation_bytes": each.activations,
                "communication_bytes": each.communication,
                "reserve_bytes": each.reserve,
                "kv_cache_bytes": each.kv_cache,
                "missing_bytes": each.missing,
            }
            for each in chosen.memories
        ],
    }


def _room(subject: Subject, chosen: Candidate) -> dict[str, Any]:
    capacity = chosen.capacity
    room = 0 if chosen.weights_missing else min(each.kv_cache for each in chosen.memories)
    if capacity is None or chosen.weights_missing:
        return {
            "kv_bytes_per_token_per_rank": 0 if capacity is None else _per_rank(subject, chosen),
            "kv_cache_memory_bytes_per_rank": room,
            "kv_capacity_tokens": 0,
            "max_concurrency": 0.0,
            "kv_block_tokens": subject.form.block_tokens if capacity is None else capacity.block_tokens,
            "kv_bytes_per_request_per_rank": 0 if capacity is None else capacity.bytes_per_request,
        }
    return {
        "kv_bytes_per_token_per_rank": _per_rank(subject, chosen),
        "kv_cache_memory_bytes_per_rank": room,
        "kv_capacity_tokens": capacity.tokens,
        "max_concurrency": round(capacity.concurrency, 3),
        "kv_block_tokens": capacity.block_tokens,
        "kv_bytes_per_request_per_rank": capacity.bytes_per_request,
    }


def _per_rank(subject: Subject, chosen: Candidate) -> int:
    bounds = stage_layers(len(chosen.model.layers), chosen.layout.pipeline)
    return max(kv.growing_bytes_per_token(chosen.model, subject.form, bound) for bound in bounds)


def _pace(subject: Subject, chosen: Candidate, max_model_len: int) -> dict[str, Any]:
    stages = chosen.layout.pipeline
    tensors = [tensor for stage in range(stages) for tensor in chosen.model.stage(stage, stages)]
    return {
        "decode_ceiling_tokens_per_s": _short(1 / chosen.single.total_s),
        "decode_ceiling_at_max_model_len_tokens_per_s": _short(1 / chosen.long.total_s),
        "throughput_ceiling_tokens_per_s": _short(chosen.throughput_tokens_per_s),
        "throughput_sequences": chosen.full_sequences,
        "weight_bytes_read_per_token_per_rank": round(
            weights.active_bytes(tensors, subject.scheme, subject.form.dtype_bytes)
        ),
        "allreduce_share": round(chosen.single.all_reduce_share, 4),
        "time_to_first_token_s": _short(chosen.first_token_s),
        "time_to_first_token_prompt_tokens": max_model_len,
    }


def _row(candidate: Candidate, chosen: Candidate) -> dict[str, Any]:
    return {
        "tensor_parallel_size": candidate.layout.tensor,
        "pipeline_parallel_size": candidate.layout.pipeline,
        "chosen": candidate is chosen,
        "fits": candidate.fits,
        "weight_bytes_per_rank": max(each.weights for each in candidate.memories),
        "kv_capacity_tokens": 0 if candidate.weights_missing or not candidate.capacity else candidate.capacity.tokens,
        "max_concurrency": round(min(candidate.concurrency, 1e9), 3),
        "decode_ceiling_tokens_per_s": _short(1 / candidate.single.total_s),
        "throughput_ceiling_tokens_per_s": _short(candidate.throughput_tokens_per_s),
        "allreduce_share": round(candidate.single.all_reduce_share, 4),
    }


def _short(value: float) -> float:
    """Return four digits: a ceiling is no measurement."""
    return float(f"{value:.4g}")
