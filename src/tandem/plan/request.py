"""What a plan is asked for: the nodes, the link between them, and what the user wants."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tandem.errors import TandemError
from tandem.plan.quantization import DTYPE_BYTES, KV_DTYPE_BYTES

GIB = 2**30
_MOST_NODES = 1024
_MOST_TOKENS = 10**9


@dataclass(frozen=True)
class Nodes:
    """Nodes that are alike."""

    count: int
    gpus_per_node: int
    gpu_memory_bytes: int
    memory_bandwidth_bytes_per_s: float
    #: Of one GPU, in the type that weights are computed in; None if it is not known.
    gpu_flops: float | None = None

    @property
    def ranks(self) -> int:
        """Return the number of GPUs."""
        return self.count * self.gpus_per_node


@dataclass(frozen=True)
class Link:
    """The link between nodes: what the gate measured, or what is promised."""

    bytes_per_s: float
    latency_s: float


@dataclass(frozen=True)
class Wishes:
    """What the user wants; None leaves the choice to the planner."""

    max_model_len: int | None = None
    max_num_seqs: int = 16
    max_num_batched_tokens: int | None = None
    dtype: str = "auto"
    kv_cache_dtype: str = "auto"
    quantization: str | None = None
    recurrent_dtype: str = "auto"
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    #: No GPU may stay idle.
    all_gpus: bool = False
    gpu_memory_utilization: float = 0.9
    kv_cache_memory_bytes: int | None = None
    block_size: int = 16
    enable_prefix_caching: bool = True
    #: vLLM prepares the next step while one runs, so tokens of two are on their way.
    async_scheduling: bool = True
    #: Without images the vision tower is not loaded.
    images: bool = True


def check(nodes: Nodes, link: Link | None, wishes: Wishes) -> None:
    """Refuse what cannot be meant; every error names the option."""
    _whole("--nodes", nodes.count, 1, _MOST_NODES)
    _whole("--gpus-per-node", nodes.gpus_per_node, 1, _MOST_NODES)
    _positive("--gpu-memory-gib", nodes.gpu_memory_bytes)
    _positive("--memory-bandwidth-gb-per-s", nodes.memory_bandwidth_bytes_per_s)
    if nodes.gpu_flops is not None:
        _positive("--gpu-tflops", nodes.gpu_flops)
    if link is not None:
        _positive("--link-gbit-per-s", link.bytes_per_s)
        if not math.isfinite(link.latency_s) or link.latency_s < 0:
            raise TandemError(f"--link-latency-usec is {1e6 * link.latency_s:g}; it must not be negative")
    _wishes(wishes)


def _wishes(wishes: Wishes) -> None:
    for name in ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "kv_cache_memory_bytes"):
        value = getattr(wishes, name)
        if value is not None:
            _whole(_option(name), value, 1, 10**15 if name == "kv_cache_memory_bytes" else _MOST_TOKENS)
    for name in ("tensor_parallel_size", "pipeline_parallel_size"):
        value = getattr(wishes, name)
        if value is not None:
            _whole(_option(name), value, 1, _MOST_NODES**2)
    _whole("--block-size", wishes.block_size, 1, 2**20)
    if not 0 < wishes.gpu_memory_utilization <= 1:
        raise TandemError(
            f"--gpu-memory-utilization is {wishes.gpu_memory_utilization:g}; it is a share above 0 and at most 1"
        )
    _one_of("--dtype", wishes.dtype, ("auto", *DTYPE_BYTES))
    _one_of("--kv-cache-dtype", wishes.kv_cache_dtype, ("auto", *KV_DTYPE_BYTES))
    _one_of("--mamba-ssm-cache-dtype", wishes.recurrent_dtype, ("auto", *DTYPE_BYTES))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _whole(option: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise TandemError(f"{option} is {value!r}; it must be a whole number from {least} to {most}")


def _positive(option: str, value: float) -> None:
    if isinstance(value, bool) or not math.isfinite(value) or value <= 0:
        raise TandemError(f"{option} is {value:g} in base units; it must be a number above 0")


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise TandemError(f"{option} is {value!r}; choose one of {', '.join(known)}")
