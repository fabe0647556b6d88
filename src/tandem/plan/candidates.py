"""Every way to cut a model over the nodes, and what it would give."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tandem.plan import kv, memory, speed
from tandem.plan.model import IndivisibleError, Model
from tandem.plan.request import Link, Nodes, Wishes
from tandem.plan.speed import Layout
from tandem.plan.subject import Subject


@dataclass(frozen=True)
class Candidate:
    """One way, and what it gives."""

    layout: Layout
    model: Model
    memories: tuple[memory.Memory, ...]
    capacity: kv.Capacity | None
    #: One sequence, at its beginning and at its greatest length; and as many as are wanted.
    single: speed.Step
    long: speed.Step
    full: speed.Step
    full_sequences: int
    first_token_s: float
    tokens_per_step: int
    weights_missing: int

    @property
    def concurrency(self) -> float:
        """Return how many sequences of the greatest length fit."""
        if self.weights_missing:
            return 0.0
        return float("inf") if self.capacity is None else self.capacity.concurrency

    @property
    def fits(self) -> bool:
        """Return whether vLLM would start."""
        return has_room(self.memories, self.capacity)

    @property
    def throughput_tokens_per_s(self) -> float:
        """Return the tokens per second of all sequences: a full pipeline goes at the pace of its slowest stage."""
        stages = self.layout.pipeline
        pace = self.full.slowest_stage_s * stages if stages > 1 else self.full.total_s
        return self.full_sequences / pace


@dataclass(frozen=True)
class Refused:
    """A way that cannot work whatever the memory is."""

    tensor: int
    pipeline: int
    reason: str


def all_of(
    subject: Subject, nodes: Nodes, link: Link | None, wishes: Wishes, max_model_len: int
) -> tuple[list[Candidate], list[Refused]]:
    """Return every way that the nodes and the wishes allow."""
    layouts, refused = ways(subject, nodes, link, wishes)
    found = [evaluate(subject, subject.model(way.tensor), way, wishes, max_model_len) for way in layouts]
    return found, refused


def ways(subject: Subject, nodes: Nodes, link: Link | None, wishes: Wishes) -> tuple[list[Layout], list[Refused]]:
    """Return the layouts that can work if memory is enough, and those that cannot."""
    found: list[Layout] = []
    refused: list[Refused] = []
    wanted = wishes.tensor_parallel_size
    if wanted and wanted > nodes.ranks:
        raise IndivisibleError(
            f"--tensor-parallel-size is {wanted}, and there are {nodes.ranks} GPUs ({nodes.count} x "
            f"{nodes.gpus_per_node}); give at most that, or more nodes"
        )
    for tensor in [wanted] if wanted else range(1, nodes.ranks + 1):
        reason = _placement(tensor, nodes)
        if reason and not wanted:
            continue
        try:
            model = subject.model(tensor)
        except IndivisibleError as error:
            reason = str(error)
        if reason:
            refused.append(Refused(tensor, 1, reason))
            continue
        pipelines = [wishes.pipeline_parallel_size] if wishes.pipeline_parallel_size else _pipelines(tensor, nodes)
        for pipeline in pipelines[-1:] if wishes.all_gpus else pipelines:
            problem = _depth(tensor, pipeline, model, nodes)
            if wishes.all_gpus and tensor * pipeline < nodes.ranks:
                problem = f"{tensor} x {pipeline} ranks leave some of the {nodes.ranks} GPUs idle"
            if problem:
                refused.append(Refused(tensor, pipeline, problem))
            else:
                found.append(Layout(tensor, pipeline, nodes, link))
    return found, refused


def _pipelines(tensor: int, nodes: Nodes) -> list[int]:
    return [stages for stages in range(1, nodes.ranks // tensor + 1) if (nodes.ranks // tensor) % stages == 0]


def _placement(tensor: int, nodes: Nodes) -> str | None:
    per_node = nodes.gpus_per_node
    if (tensor > per_node and tensor % per_node) or (tensor < per_node and per_node % tensor):
        return f"{tensor} ranks do not fill nodes of {per_node} GPUs evenly"
    return None


def _depth(tensor: int, pipeline: int, model: Model, nodes: Nodes) -> str | None:
    if tensor * pipeline > nodes.ranks:
        return f"{tensor} x {pipeline} ranks are more than the {nodes.ranks} there are"
    if pipeline > len(model.layers):
        return f"{pipeline} stages are more than the {len(model.layers)} layers"
    return None


def room(
    subject: Subject, model: Model, layout: Layout, wishes: Wishes, max_model_len: int
) -> tuple[tuple[memory.Memory, ...], kv.Capacity | None]:
    """Return the memory of each stage, and what fits into what is left."""
    stages, tokens = layout.pipeline, memory.batched_tokens(wishes, max_model_len)
    memories = tuple(
        memory.of_stage(
            stage,
            subject.weight_bytes(model, stage, stages),
            model=model,
            layout=layout,
            wishes=wishes,
            tokens=tokens,
            dtype_bytes=subject.form.dtype_bytes,
        )
        for stage in range(stages)
    )
    batches = 2 if wishes.async_scheduling and stages == 1 else stages
    wanted = kv.Wanted(max_model_len, tokens * batches)
    return memories, kv.capacity(model, subject.form, wanted, stages, [each.kv_cache for each in memories])


def has_room(memories: tuple[memory.Memory, ...], capacity: kv.Capacity | None) -> bool:
    """Return whether vLLM would start: with room for one sequence beside the block it keeps empty."""
    if any(each.missing for each in memories):
        return False
    return capacity is None or capacity.num_blocks - 1 >= capacity.blocks_per_request


def evaluate(subject: Subject, model: Model, layout: Layout, wishes: Wishes, max_model_len: int) -> Candidate:
    """Return what one way gives."""
    memories, capacity = room(subject, model, layout, wishes, max_model_len)
    together = wishes.max_num_seqs
    if capacity is not None:
        together = max(1, min(together, int(capacity.concurrency)))
    form, scheme = subject.form, subject.scheme
    steps = [
        speed.step(model, layout, scheme, form, sequences=count, context=context)
        for count, context in ((1, 0), (1, max_model_len), (together, max_model_len))
    ]
    return Candidate(
        layout=layout,
        model=model,
        memories=memories,
        capacity=capacity,
        single=steps[0],
        long=steps[1],
        full=steps[2],
        full_sequences=together,
        first_token_s=speed.first_token_s(model, layout, scheme, form, max_model_len),
        tokens_per_step=memory.batched_tokens(wishes, max_model_len),
        weights_missing=max(each.missing for each in memories),
    )


def best_of(candidates: list[Candidate], wishes: Wishes) -> Candidate:
    """Return the best: it fits, it holds as many sequences as are wanted, and one answer comes as fast as it can."""

    def worth(candidate: Candidate) -> tuple[float, ...]:
        return (
            candidate.fits,
            min(candidate.concurrency, wishes.max_num_seqs) if candidate.fits else -candidate.weights_missing,
            # Ways within a hundredth are alike; then the one with more room.
            -round(100 * math.log(candidate.single.total_s)),
            candidate.concurrency,
            -candidate.layout.tensor * candidate.layout.pipeline,
        )

    return max(candidates, key=worth)
