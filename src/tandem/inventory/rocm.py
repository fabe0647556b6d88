"""Does what a node with an AMD GPU is to run go with it?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tandem.app.accelerators import find_wrong_builds, names
from tandem.inventory.problems import Problem, join_words
from tandem.inventory.specs import conform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tandem.inventory.description import Description
    from tandem.inventory.specs import Value

ARCHITECTURE = re.compile(r"gfx[0-9]{1,2}[0-9a-f]{2}")
VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
PYTHON = "3.12"
INDEX = "https://wheels.vllm.ai/rocm/"
#: What each way to bring ROCm means for an engine.
ENGINE_RUNTIMES = {"container": "container", "wheels": "venv"}
SHOWN = 4


def find_rocm_problems(description: Description) -> Iterator[Problem]:
    """Check every node whose ROCm is ours, and the memory that its engines may plan with."""
    for node, variables in description.variables.items():
        yield from _check_memory(variables)
        yield from _check_forms(variables)
        if conform("rocm_manage", variables.get("rocm_manage", False), {"type": "bool"}, []) is True:
            yield from _check_lock(description, variables)
            yield from _check_engines(node, variables)


def _check_memory(variables: Mapping[str, Value]) -> Iterator[Problem]:
    limit, planned = variables.get("kernel_args_gpu_memory_gib"), variables.get("plan_gpu_memory_gib")
    if isinstance(limit, int | float) and isinstance(planned, int | float) and planned > limit:
        found = f"found {planned:g}, but kernel_args_gpu_memory_gib lets the GPU take {limit:g}"
        yield Problem("plan_gpu_memory_gib", found, "plan with less: the system and the runtime need some of it, too")


def _check_forms(variables: Mapping[str, Value]) -> Iterator[Problem]:
    architecture = variables.get("rocm_architecture")
    if isinstance(architecture, str) and not ARCHITECTURE.fullmatch(architecture):
        yield Problem("rocm_architecture", f"found {architecture!r}", "give it as rocminfo does, such as gfx1151")
    for name, example in (("rocm_kernel_min", "6.18.4"), ("rocm_firmware_min", "20260410")):
        version = variables.get(name)
        if version is not None and not VERSION.fullmatch(str(version)):
            yield Problem(name, f"found {str(version)!r}", f"give a version, such as {example}")


def _check_lock(description: Description, variables: Mapping[str, Value]) -> Iterator[Problem]:
    runtime = variables.get("tandem_runtime")
    if not isinstance(runtime, Mapping) or not isinstance(runtime.get("lock"), str):
        return
    path, wheels = runtime["lock"], variables.get("rocm_runtime") == "wheels"
    lock = description.locks.get(path)
    if lock is None or lock.fault:
        yield Problem("tandem_runtime.lock", f"found {path}: {lock.fault if lock else 'not read'}", "give a lock file")
        return
    accepted = variables.get("rocm_accepted_packages")
    wrong = find_wrong_builds(lock.text, accepted if isinstance(accepted, list | tuple) else ())
    if wrong:
        told = join_words(f"{build.requirement} ({build.reason})" for build in wrong[:SHOWN])
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        yield Problem(
            "tandem_runtime.lock",
            f"{path} would bring what does not run on an AMD GPU: {told}{more}",
            f"lock vLLM's wheels for ROCm (index {INDEX}, see runtimes/README.md), or take a container; what is "
            "right all the same goes into rocm_accepted_packages",
        )
    if not wheels:
        return
    if "vllm" not in names(lock.text):
        yield Problem("tandem_runtime.lock", f"{path} has no vllm", "rocm_runtime wheels needs it there")
    if str(runtime.get("python_version")) != PYTHON:
        found = f"found {runtime.get('python_version')}"
        yield Problem("tandem_runtime.python_version", found, f"set {PYTHON}: vLLM's wheels for ROCm know no other")


def _check_engines(node: str, variables: Mapping[str, Value]) -> Iterator[Problem]:
    chosen = variables.get("rocm_runtime", "container")
    wanted = ENGINE_RUNTIMES.get(str(chosen))
    engines = variables.get("vllm_engine_engines")
    for engine in engines if isinstance(engines, list | tuple) else ():
        nodes = engine.get("nodes") if isinstance(engine, Mapping) else None
        if not wanted or not isinstance(nodes, list | tuple) or node not in nodes:
            continue
        runtime = engine.get("runtime", "venv")
        if runtime in ENGINE_RUNTIMES.values() and runtime != wanted:
            yield Problem(
                f"vllm_engine_engines[{engine.get('name')}].runtime",
                f"is {runtime}, but rocm_runtime of {node} is {chosen}",
                f"set runtime: {wanted}, or change rocm_runtime",
            )
