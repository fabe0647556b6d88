"""A plan in lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tandem.plan.request import GIB

Plan = Mapping[str, Any]

_PARTS = (
    ("weights", "weight_bytes"),
    ("KV cache", "kv_cache_bytes"),
    ("activations", "activation_bytes"),
    ("communication", "communication_bytes"),
    ("reserve", "reserve_bytes"),
)


def render(plan: Plan) -> str:
    """Return the plan as a person reads it: the answer first, then why, then what else there is."""
    return "\n".join([*_answer(plan), "", *_memory(plan), "", *_speed(plan), "", *_flags(plan), *_rest(plan)])


def _answer(plan: Plan) -> Iterator[str]:
    answer = "fits" if plan["fits"] else "DOES NOT FIT"
    yield (
        f"{plan['architecture']}, {plan['parameters'] / 1e9:.2f} billion parameters "
        f"({plan['active_parameters'] / 1e9:.2f} active), {_kept(plan)}: {answer}"
    )
    yield f"tensor parallel {plan['tensor_parallel_size']}, pipeline parallel {plan['pipeline_parallel_size']}"
    yield (
        f"context {plan['max_model_len']} tokens: {plan['max_concurrency']:.1f} sequences at once, "
        f"{plan['kv_capacity_tokens']} tokens in all"
    )
    for change in plan["nearest"]:
        yield f"what works: {change['text']}"


def _kept(plan: Plan) -> str:
    return plan["dtype"] if plan["quantization"] == "none" else str(plan["quantization"])


def _memory(plan: Plan) -> Iterator[str]:
    yield "memory of a rank, in GiB:"
    stages = plan["memory_per_rank"]
    names = [f"stage {stage['stage']}" for stage in stages] if len(stages) > 1 else [""]
    if len(stages) > 1:
        yield f"  {'':<14}" + "".join(f"{name:>10}" for name in names)
    for title, key in (*_PARTS, ("of", "total_bytes")):
        yield f"  {title:<14}" + "".join(f"{stage[key] / GIB:>10.2f}" for stage in stages)
    grown = f"KV cache: {plan['kv_bytes_per_token']} bytes per token"
    windows = "".join(
        f", {window['bytes_per_token']} more within {window['window_tokens']} tokens" for window in plan["kv_window"]
    )
    state = plan["state_bytes_per_sequence"]
    yield grown + windows + (f", and {state} bytes of state per sequence" if state else "")


def _speed(plan: Plan) -> Iterator[str]:
    yield "at most:"
    yield (
        f"  one answer: {plan['decode_ceiling_tokens_per_s']:g} tokens/s at its beginning, "
        f"{plan['decode_ceiling_at_max_model_len_tokens_per_s']:g} at the end of the context; "
        f"{100 * plan['allreduce_share']:.1f} % of it waiting for the link"
    )
    together = plan["throughput_ceiling_tokens_per_s"]
    yield f"  {plan['throughput_sequences']} answers at once: {together:g} tokens/s in all"
    yield (
        f"  first token of a prompt of {plan['time_to_first_token_prompt_tokens']} tokens: "
        f"not before {plan['time_to_first_token_s']:g} s"
    )


def _flags(plan: Plan) -> Iterator[str]:
    yield "flags of vLLM:"
    for name, value in plan["flags"].items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"  {name:<24}{text:<14} {plan['flag_reasons'][name]}"


def _rest(plan: Plan) -> Iterator[str]:
    others = [row for row in plan["alternatives"] if not row.get("chosen")]
    if others:
        yield ""
        yield "other ways:"
    for row in others:
        sizes = f"  {row['tensor_parallel_size']} x {row['pipeline_parallel_size']}: "
        if "refused" in row:
            yield sizes + f"cannot work: {row['refused']}"
        else:
            yield sizes + (
                f"{'fits' if row['fits'] else 'does not fit'}, {row['max_concurrency']:.1f} sequences, "
                f"one answer at most {row['decode_ceiling_tokens_per_s']:g} tokens/s"
            )
    yield ""
    yield from plan["reasons"]
