"""The bytes of the weights: by arithmetic, or as the files of a checkpoint have them."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tandem.errors import TandemError
from tandem.plan.architectures.family import VOCABULARY_MULTIPLE
from tandem.plan.config import load_object
from tandem.plan.model import Counted, Model, Tensor
from tandem.plan.quantization import Scheme

_LONGEST_HEADER_BYTES = 256 * 2**20
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


@dataclass(frozen=True)
class Checkpoint:
    """What the files of a checkpoint hold."""

    total_bytes: int
    #: By tensor, if their headers were read.
    tensors: Mapping[str, int] | None
    source: str

    def loaded_bytes(self, model: Model) -> int:
        """Return the bytes that vLLM loads: without layers for speculation, tables it computes, and a copied head."""
        if self.tensors is None:
            return self.total_bytes
        return sum(size for name, size in self.tensors.items() if not _is_left_out(name, model))


def _is_left_out(name: str, model: Model) -> bool:
    layer = _LAYER.search(name)
    return (
        name.startswith("mtp.")
        or name.endswith(("rotary_emb.inv_freq", "attn.masked_bias", "attn.bias"))
        or (layer is not None and int(layer.group(1)) >= len(model.layers) and "vision" not in name)
        or (model.tied and name.endswith("lm_head.weight"))
    )


def stage_bytes(model: Model, stage: int, stages: int, scheme: Scheme, dtype_bytes: int) -> int:
    """Return what a rank of one pipeline stage holds."""
    return round(sum(times * scheme.bytes_of(tensor, dtype_bytes) for tensor, times in model.stage(stage, stages)))


def active_bytes(tensors: Counted, scheme: Scheme, dtype_bytes: int, tokens: int = 1) -> float:
    """Return what is read for one step of ``tokens`` sequences; experts are read once each at most."""
    return sum(
        times
        * scheme.bytes_of(tensor, dtype_bytes)
        * min(1.0, tensor.active_share * (tokens if _chosen(tensor) else 1))
        for tensor, times in tensors
        if tensor.role not in ("embedding", "vision")
    )


def _chosen(tensor: Tensor) -> bool:
    return tensor.active_copies is not None


def parameters(tensors: Counted) -> int:
    """Return the number of parameters."""
    return sum(times * tensor.elements for tensor, times in tensors)


def active_parameters(tensors: Counted) -> float:
    """Return the number of parameters that one token is multiplied with."""
    return sum(
        times * tensor.elements * tensor.active_share
        for tensor, times in tensors
        if tensor.role not in ("embedding", "vision")
    )


def padding_bytes(model: Model, dtype_bytes: int) -> int:
    """Return what vLLM adds to a checkpoint by rounding the vocabulary up."""
    rows = -model.vocab_size % VOCABULARY_MULTIPLE
    return rows * model.embedding[0].inputs * (1 if model.tied else 2) * dtype_bytes


def read(path: Path) -> Checkpoint:
    """Read an index, or the headers of a safetensors file or of all in a directory."""
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if not files:
            raise TandemError(f"--weights {path} holds no *.safetensors; name the model's directory or its index")
        tensors = {name: size for file in files for name, size in _headers(file).items()}
        return Checkpoint(sum(tensors.values()), tensors, f"the headers of {len(files)} files")
    if path.suffix == ".safetensors":
        tensors = _headers(path)
        return Checkpoint(sum(tensors.values()), tensors, f"the header of {path.name}")
    return _index(path)


def _index(path: Path) -> Checkpoint:
    index = load_object(path, "--weights", "the model's model.safetensors.index.json")
    metadata = index.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if isinstance(total, float) and total.is_integer():
        total = int(total)
    if isinstance(total, bool) or not isinstance(total, int) or total <= 0:
        raise TandemError(
            f"--weights {path}: metadata.total_size is {total!r}; it must be the bytes of all tensors, as in the "
            "model.safetensors.index.json beside the weights"
        )
    return Checkpoint(total, None, path.name)


def _headers(path: Path) -> dict[str, int]:
    try:
        with path.open("rb") as stream:
            header = _header(stream)
        return {name: _size(entry) for name, entry in header.items() if name != "__metadata__"}
    except OSError as error:
        raise TandemError(f"--weights {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise TandemError(f"--weights {path} is no safetensors file ({error}); download it again") from error


def _header(stream: BinaryIO) -> dict[str, Any]:
    length = struct.unpack("<Q", stream.read(8))[0]
    content = stream.read(min(length, _LONGEST_HEADER_BYTES))
    if len(content) != length:
        raise ValueError(f"a header of {length} bytes, of which {len(content)} are there")
    header: dict[str, Any] = json.loads(content)
    return header


def _size(entry: Mapping[str, Any]) -> int:
    start, end = entry["data_offsets"]
    if not 0 <= int(start) <= int(end):
        raise ValueError(f"offsets {start} and {end}")
    return int(end) - int(start)
