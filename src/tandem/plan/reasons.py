"""Why a plan is as it is, and what its numbers leave out."""

from __future__ import annotations

from collections.abc import Iterator

from tandem.plan.candidates import Candidate
from tandem.plan.request import GIB, Wishes
from tandem.plan.subject import Subject


def reasons_of(
    subject: Subject, chosen: Candidate, wishes: Wishes, max_model_len: int, longest: int | None
) -> list[str]:
    """Return one line for each."""
    return [
        *subject.notes,
        *_fit(chosen, wishes, max_model_len),
        *_length(max_model_len, longest),
        *_choice(chosen, wishes),
        *_weights(subject),
        *_limits(chosen),
    ]


def _fit(chosen: Candidate, wishes: Wishes, max_model_len: int) -> Iterator[str]:
    fullest = max(chosen.memories, key=lambda each: each.weights)
    if chosen.weights_missing and wishes.kv_cache_memory_bytes:
        yield (
            f"does not fit: {chosen.weights_missing / GIB:.1f} GiB are missing on a rank for "
            f"{fullest.weights / GIB:.2f} GiB of weights and {fullest.kv_cache / GIB:.2f} GiB of KV cache in "
            f"{fullest.total / GIB:.2f} GiB"
        )
    elif chosen.weights_missing:
        yield (
            f"does not fit: {chosen.weights_missing / GIB:.1f} GiB are missing on a rank before any KV cache "
            f"({fullest.weights / GIB:.1f} GiB of weights in {fullest.total / GIB:.1f} GiB)"
        )
    elif not chosen.fits:
        yield (
            f"does not fit: one sequence of {max_model_len} tokens needs more KV cache than the "
            f"{min(each.kv_cache for each in chosen.memories) / GIB:.2f} GiB that are left on a rank"
        )
    elif chosen.concurrency < wishes.max_num_seqs:
        yield (
            f"{chosen.concurrency:.1f} sequences of {max_model_len} tokens fit, fewer than the {wishes.max_num_seqs} "
            "wanted: further ones wait, or shorter ones take their place"
        )
    else:
        yield f"{wishes.max_num_seqs} sequences of {max_model_len} tokens fit at once"


def _length(max_model_len: int, longest: int | None) -> Iterator[str]:
    if longest is not None and max_model_len > longest:
        yield f"vLLM refuses {max_model_len} tokens: the model was made for {longest}"


def _choice(chosen: Candidate, wishes: Wishes) -> Iterator[str]:
    layout = chosen.layout
    idle = layout.nodes.ranks - layout.tensor * layout.pipeline
    if idle:
        yield f"{idle} of {layout.nodes.ranks} GPUs stay idle: with them it would not be faster, or it cannot be cut"
    if wishes.tensor_parallel_size or wishes.pipeline_parallel_size:
        yield "the parallel sizes are as wanted; alternatives list only what agrees with them"
    if layout.nodes_per_stage > 1:
        yield (
            f"{len(chosen.model.layers)} layers wait for the link twice per token: "
            f"{100 * chosen.single.all_reduce_share:.1f} % of the time of one answer"
        )


def _weights(subject: Subject) -> Iterator[str]:
    if subject.checkpoint is not None and subject.factor != 1:
        yield f"weights are as {subject.checkpoint.source} has them, shared out as arithmetic says"
    elif not subject.scheme.exact:
        yield f"weights of {subject.scheme.name} are an estimate; --weights gives exact bytes"


def _limits(chosen: Candidate) -> Iterator[str]:
    yield (
        "speeds are ceilings: each weight that a token needs is read once, at full memory bandwidth; kernels, sampling "
        "and scheduling come on top"
    )
    if chosen.layout.tensor > 1 and chosen.layout.nodes.gpus_per_node > 1:
        yield "the link between GPUs of one node is taken as free"
    if not chosen.layout.nodes.gpu_flops:
        yield (
            "the time to the first token counts reading and the link, not computing the prompt; --gpu-tflops adds it"
        )
    yield "activations and communication buffers are estimates"
