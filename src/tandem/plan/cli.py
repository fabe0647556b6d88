"""``tandem plan``: will it fit, and how fast can it be."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tandem.plan.request import Link, Nodes, Wishes


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``plan`` command."""
    parser = subparsers.add_parser(
        "plan",
        help="say whether a model fits on some nodes, and how fast it can be",
        description="Say whether a model fits on some nodes, with which parallel sizes and flags, and what speed "
        "memory and link allow. The status is 0 for any answer (--check: 1 if it does not fit), and 2 for what cannot "
        "be understood.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the model's config.json")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="PATH",
        help="exact bytes: model.safetensors.index.json, a safetensors file, or a directory of them",
    )
    _add_hardware(parser)
    _add_wishes(parser)
    parser.add_argument("--json", action="store_true", help="print the document")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw memory, and speed against the link's latency: .svg or .png"
    )
    parser.add_argument("--check", action="store_true", help="end with status 1 if it does not fit")
    parser.set_defaults(handler=_plan)


def _add_hardware(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("nodes and link")
    group.add_argument("--nodes", type=int, default=1, metavar="N", help="nodes, all alike (default: %(default)s)")
    group.add_argument("--gpus-per-node", type=int, default=1, metavar="N", help="GPUs of a node (default: 1)")
    group.add_argument(
        "--gpu-memory-gib", type=float, required=True, metavar="GIB", help="memory that one GPU can use, in GiB"
    )
    group.add_argument(
        "--memory-bandwidth-gb-per-s", type=float, required=True, metavar="GB", help="of one GPU's memory"
    )
    group.add_argument(
        "--gpu-tflops", type=float, metavar="T", help="what one GPU computes, for the time to the first token"
    )
    group.add_argument("--link-gbit-per-s", type=float, metavar="GBIT", help="bandwidth between nodes, as measured")
    group.add_argument("--link-latency-usec", type=float, metavar="USEC", help="latency between nodes, as measured")


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("wishes")
    group.add_argument("--max-model-len", type=int, metavar="N", help="tokens of context (default: the model's most)")
    group.add_argument("--max-num-seqs", type=int, default=16, metavar="N", help="sequences at once (default: 16)")
    group.add_argument("--max-num-batched-tokens", type=int, metavar="N", help="tokens of one step (default: 2048)")
    group.add_argument("--dtype", default="auto", metavar="TYPE", help="auto, bfloat16, float16 or float32")
    group.add_argument("--kv-cache-dtype", default="auto", metavar="TYPE", help="auto, fp8, bfloat16, ...")
    group.add_argument("--mamba-ssm-cache-dtype", default="auto", metavar="TYPE", help="type of recurrent states")
    group.add_argument("--quantization", metavar="NAME", help="quantise weights that are not: fp8")
    group.add_argument("--tensor-parallel-size", type=int, metavar="N", help="do not choose it")
    group.add_argument("--pipeline-parallel-size", type=int, metavar="N", help="do not choose it")
    group.add_argument(
        "--gpu-memory-utilization", type=float, default=0.9, metavar="SHARE", help="of the memory (default: 0.9)"
    )
    group.add_argument("--kv-cache-memory-bytes", type=int, metavar="N", help="do not compute it: bytes on each GPU")
    group.add_argument("--block-size", type=int, default=16, metavar="N", help="tokens of a KV block (default: 16)")
    group.add_argument("--no-prefix-caching", action="store_true", help="plan without shared beginnings of prompts")
    group.add_argument("--no-async-scheduling", action="store_true", help="plan with one step at a time")
    group.add_argument("--text-only", action="store_true", help="without the vision tower (an image limit of 0)")


def _plan(arguments: argparse.Namespace) -> int:
    from tandem.plan import config, plan, table, weights

    model, checkpoint = config.load(arguments.config), weights.read(arguments.weights) if arguments.weights else None
    nodes, link, wishes = _nodes(arguments), _link(arguments), _wishes(arguments)
    document = plan.make_plan(model, nodes, link, wishes, checkpoint)
    if arguments.picture:
        # Drawing needs more than the standard library: not before there is something to draw.
        from tandem.plan import latencies, picture

        best = document["tensor_parallel_size"], document["pipeline_parallel_size"]
        between = link if nodes.count > 1 else None
        curves = latencies.curves(model, nodes, between, wishes, checkpoint, best=best) if between else []
        picture.write(arguments.picture, document, curves, between)
    print(json.dumps(document, indent=2, allow_nan=False) if arguments.json else table.render(document))
    return 1 if arguments.check and not document["fits"] else 0


def _wishes(arguments: argparse.Namespace) -> Wishes:
    from tandem.plan.request import Wishes

    return Wishes(
        max_model_len=arguments.max_model_len,
        max_num_seqs=arguments.max_num_seqs,
        max_num_batched_tokens=arguments.max_num_batched_tokens,
        dtype=arguments.dtype,
        kv_cache_dtype=arguments.kv_cache_dtype,
        quantization=arguments.quantization,
        recurrent_dtype=arguments.mamba_ssm_cache_dtype,
        tensor_parallel_size=arguments.tensor_parallel_size,
        pipeline_parallel_size=arguments.pipeline_parallel_size,
        gpu_memory_utilization=arguments.gpu_memory_utilization,
        kv_cache_memory_bytes=arguments.kv_cache_memory_bytes,
        block_size=arguments.block_size,
        enable_prefix_caching=not arguments.no_prefix_caching,
        async_scheduling=not arguments.no_async_scheduling,
        images=not arguments.text_only,
    )


def _nodes(arguments: argparse.Namespace) -> Nodes:
    from tandem.plan.request import GIB, Nodes

    memory_gib = _number("--gpu-memory-gib", arguments.gpu_memory_gib)
    flops = None if arguments.gpu_tflops is None else 1e12 * _number("--gpu-tflops", arguments.gpu_tflops)
    return Nodes(
        count=arguments.nodes,
        gpus_per_node=arguments.gpus_per_node,
        gpu_memory_bytes=round(memory_gib * GIB),
        memory_bandwidth_bytes_per_s=1e9 * _number("--memory-bandwidth-gb-per-s", arguments.memory_bandwidth_gb_per_s),
        gpu_flops=flops,
    )


def _link(arguments: argparse.Namespace) -> Link | None:
    from tandem.errors import TandemError
    from tandem.plan.request import Link

    bandwidth, latency = arguments.link_gbit_per_s, arguments.link_latency_usec
    if bandwidth is None and latency is None:
        return None
    if bandwidth is None or latency is None:
        raise TandemError("a link has --link-gbit-per-s and --link-latency-usec; give both")
    return Link(_number("--link-gbit-per-s", bandwidth) * 1e9 / 8, _number("--link-latency-usec", latency, 0) / 1e6)


def _number(option: str, value: float, least: float | None = None) -> float:
    from tandem.errors import TandemError

    below = value < least if least is not None else value <= 0
    if not math.isfinite(value) or below:
        raise TandemError(f"{option} is {value:g}; it must be a number {'of at least 0' if least == 0 else 'above 0'}")
    return value
