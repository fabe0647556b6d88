"""How many bytes a tensor has: by the types, and by what a quantised checkpoint says of itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tandem.errors import TandemError
from tandem.plan.config import Config
from tandem.plan.model import Tensor

#: Bytes of the types that weights are computed in.
DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
#: Bytes of the types that a KV cache can be of.
KV_DTYPE_BYTES = {"fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1, "bfloat16": 2, "float16": 2, "float32": 4}


#: Tables, heads, norms, routers, and what is no language model.
_USUAL = re.compile(
    r"lm_head|embed|norm|router|gate(\.wg)?(\$|\.weight)?$|vis(ion|ual)|multi_modal|mtp|conv1d|in_proj_b?a$"
)


@dataclass(frozen=True)
class Scheme:
    """A way of storing matrices; ``matrix_bytes`` counts one of them with its scales."""

    name: str
    matrix_bytes: Callable[[int, int], float]
    #: Which roles are stored like that; the others keep the model's type.
    roles: frozenset[str] = frozenset({"linear", "expert"})
    exact: bool = True

    def bytes_of(self, tensor: Tensor, dtype_bytes: int) -> float:
        """Return the bytes of a tensor."""
        if tensor.float32:
            return 4 * tensor.elements
        if tensor.role in self.roles and tensor.inputs > 1:
            return tensor.copies * self.matrix_bytes(tensor.outputs, tensor.inputs)
        return dtype_bytes * tensor.elements


def plain(dtype_bytes: int) -> Scheme:
    """Return the scheme of a checkpoint that is not quantised."""
    return Scheme("none", lambda outputs, inputs: float(dtype_bytes * outputs * inputs))


def scheme_of(config: Config, dtype_bytes: int) -> Scheme | None:
    """Return the scheme that ``quantization_config`` names, or None if it is not understood."""
    section = config.section("quantization_config", "compression_config")
    if section is None:
        return plain(dtype_bytes)
    method = section.word("quant_method", "").lower().replace("_", "-")
    reader = _READERS.get(method)
    if reader is None or (method != "mxfp4" and not _usual_exceptions(section)) or section.raw("dynamic"):
        return None
    return reader(section, dtype_bytes)


def _usual_exceptions(section: Config) -> bool:
    """Return whether only such matrices stay whole as are whole in every scheme, or too small to matter."""
    names = [
        name for key in ("ignore", "ignored_layers", "modules_to_not_convert") for name in section.words(key) or ()
    ]
    return all(_USUAL.search(name) for name in names)


def named(name: str, dtype_bytes: int) -> Scheme:
    """Return the scheme that ``--quantization`` makes of weights that are not quantised yet."""
    if name == "fp8":
        # One float32 scale for a matrix.
        return Scheme("fp8", lambda outputs, inputs: outputs * inputs + 4)
    if name == "none":
        return plain(dtype_bytes)
    raise TandemError(f"--quantization {name!r} is not understood; choose none or fp8")


def _blocks(length: int, size: int) -> int:
    return -(-length // size)


def _fp8(section: Config, _dtype_bytes: int) -> Scheme:
    block = section.numbers("weight_block_size", least=1)
    if block is None:
        return Scheme("fp8", lambda outputs, inputs: outputs * inputs + 4)
    if len(block) != 2:
        section.refuse("weight_block_size", "a list of two whole numbers")
    rows, columns = block
    return Scheme(
        f"fp8 in blocks of {rows} x {columns}",
        lambda outputs, inputs: outputs * inputs + 4 * _blocks(outputs, rows) * _blocks(inputs, columns),
    )


def _grouped(section: Config, *, index: bool) -> Scheme:
    bits = section.number("bits", "w_bit", default=4)
    size = section.values.get("group_size", 128)
    group = None if size in (-1, None) else section.number("group_size", "q_group_size", default=128)

    def count(outputs: int, inputs: int) -> float:
        groups = _blocks(inputs, group or inputs)
        packed = outputs * inputs * bits / 8
        # 16-bit scales, packed zero points, and the order of inputs.
        return packed + groups * outputs * (2 + bits / 8) + (4 * inputs if index else 0)

    return Scheme(f"{bits}-bit in groups of {group or 'all inputs'}", count)


def _gptq(section: Config, _dtype_bytes: int) -> Scheme:
    return _grouped(section, index=section.flag("desc_act"))


def _awq(section: Config, _dtype_bytes: int) -> Scheme:
    return _grouped(section, index=False)


def _mxfp4(_section: Config, _dtype_bytes: int) -> Scheme:
    # Half a byte, and one byte of scale for each 32; only experts are stored like that.
    return Scheme("mxfp4", lambda outputs, inputs: outputs * (inputs / 2 + _blocks(inputs, 32)), frozenset({"expert"}))


def _compressed(section: Config, _dtype_bytes: int) -> Scheme | None:
    groups = section.values.get("config_groups")
    if not isinstance(groups, dict) or len(groups) != 1:
        return None
    (only,) = groups.values()
    weights = only.get("weights") if isinstance(only, dict) else None
    if not isinstance(weights, dict) or only.get("targets") != ["Linear"]:
        return None
    return _compressed_weights(weights)


def _compressed_weights(weights: Mapping[str, Any]) -> Scheme | None:
    bits, strategy = weights.get("num_bits"), weights.get("strategy")
    if bits not in (4, 8):
        return None
    scale_bytes = 2
    if strategy == "tensor":
        return Scheme(f"{bits}-bit", lambda outputs, inputs: outputs * inputs * bits / 8 + 4)
    if strategy == "channel":
        return Scheme(f"{bits}-bit by channel", lambda outputs, inputs: outputs * (inputs * bits / 8 + 4))
    size = weights.get("group_size")
    if strategy == "group" and isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return Scheme(
            f"{bits}-bit in groups of {size}",
            lambda outputs, inputs: outputs * (inputs * bits / 8 + scale_bytes * _blocks(inputs, size)),
        )
    return None


_READERS: dict[str, Callable[[Config, int], Scheme | None]] = {
    "fp8": _fp8,
    "gptq": _gptq,
    "gptq-marlin": _gptq,
    "awq": _awq,
    "awq-marlin": _awq,
    "mxfp4": _mxfp4,
    "compressed-tensors": _compressed,
}
