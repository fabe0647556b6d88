"""The mathematics of the conversion: rotary order and zero heads. Arrays in, arrays out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]


def to_split_rotary(weight: Array, heads: int) -> Array:
    """Undo the row order that llama.cpp gives query and key projections of the llama architecture.

    llama.cpp rotates neighbouring rows of a head, (0, 1), (2, 3), ...; transformers and vLLM rotate row i with row
    i + half. So a file for llama.cpp holds the rows interleaved, and here they are split into two halves again.
    """
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, half, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def to_interleaved_rotary(weight: Array, heads: int) -> Array:
    """Do what `to_split_rotary` undoes."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def padded_heads(query_heads: int, kv_heads: int, divisor: int) -> tuple[int, int]:
    """Return the smallest head counts that divide by `divisor` and keep the queries per key/value head."""
    group = query_heads // kv_heads
    kv_padded = -(-kv_heads // divisor) * divisor
    return kv_padded * group, kv_padded


def pad_axis(weight: Array, axis: int, length: int) -> Array:
    """Append zeros along one axis up to `length`.

    With zero rows in query, key and value and zero columns in the output projection, an added head attends evenly to
    zeros and adds exactly nothing. Added heads come last, so each old query head keeps its key/value head.
    """
    widths = [(0, 0)] * weight.ndim
    widths[axis] = (0, length - weight.shape[axis])
    return np.pad(weight, widths)
