"""What is said about nodes with an AMD GPU, and about their runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.filter.inventory import problems
from tandem.inventory.check import find_problems, format_problems
from tandem.inventory.description import LockFile

ROOT = Path(__file__).parents[4]
LOCK = "/locks/rocm.lock"
FIRST, SECOND = "vllm_engine_engines[first]", "vllm_engine_engines[second]"
ROCM = "torch==2.11.0+rocm7.2\nvllm==0.20.0+rocm721\n"
CUDA = "nvidia-cublas-cu12==1\nnvidia-nccl-cu12==1\ntorch==2.11.0\ntorchaudio==2.11.0\nvllm==0.20.0\n"


def manage(draft: Any, runtime: str = "wheels", text: str = ROCM, python: str = "3.12") -> None:
    """Two nodes with GPUs and engines of one kind."""
    draft.variables.update(
        rocm_manage=True,
        rocm_runtime=runtime,
        tandem_runtime={"lock": LOCK, "projects": [], "python": "/usr/bin/python3.12", "python_version": python},
    )
    draft.locks[LOCK] = LockFile(text)
    for engine in draft.engines:
        engine["runtime"] = "venv"
        engine.pop("image", None)
    if runtime == "container":
        for engine in draft.engines:
            engine.update(runtime="container", executor="mp", image=f"registry.example/vllm@sha256:{'0' * 64}")
        draft.variables.pop("ray_head")


BAD: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "the CUDA wheel": (
        lambda d: manage(d, text=CUDA),
        "tandem_runtime.lock",
        f"{LOCK} would bring what does not run on an AMD GPU: nvidia-cublas-cu12==1 (belongs to CUDA)",
    ),
    "how many": (lambda d: manage(d, text=CUDA), "tandem_runtime.lock", "and 1 more"),
    "what to do": (lambda d: manage(d, text=CUDA), "tandem_runtime.lock", "https://wheels.vllm.ai/rocm/"),
    "the CUDA wheel beside containers": (
        lambda d: manage(d, "container", "vllm==0.20.0\n"),
        "tandem_runtime.lock",
        "vllm==0.20.0 (is the build for CUDA",
    ),
    "no vllm": (lambda d: manage(d, text="anyio==4\n"), "tandem_runtime.lock", f"{LOCK} has no vllm"),
    "Fedora's Python": (
        lambda d: manage(d, python="3.14"),
        "tandem_runtime.python_version",
        "found 3.14; set 3.12",
    ),
    "no lock": (
        lambda d: [manage(d), d.locks.update({LOCK: LockFile(fault="No such file or directory")})],
        "tandem_runtime.lock",
        f"found {LOCK}: No such file or directory",
    ),
    "an engine on the wheels": (
        lambda d: [manage(d, "container"), d.engines[0].update(runtime="venv", image=None)],
        f"{FIRST}.runtime",
        "is venv, but rocm_runtime of node1 is container; set runtime: container",
    ),
    "an engine in a container": (
        lambda d: [manage(d), d.engines[1].update(runtime="container", image=f"x@sha256:{'0' * 64}", executor="mp")],
        f"{SECOND}.runtime",
        "is container, but rocm_runtime of node2 is wheels; set runtime: venv",
    ),
    "a name in words": (
        lambda d: d.variables.update(rocm_architecture="strix-halo"),
        "rocm_architecture",
        "such as gfx1151",
    ),
    "a kernel in words": (lambda d: d.variables.update(rocm_kernel_min="newest"), "rocm_kernel_min", "such as 6.18.4"),
    "a way that is none": (lambda d: d.variables.update(rocm_runtime="pip"), "rocm_runtime", "container, wheels"),
    "more than the limit": (
        lambda d: d.variables.update(plan_gpu_memory_gib=124, kernel_args_gpu_memory_gib=120),
        "plan_gpu_memory_gib",
        "found 124, but kernel_args_gpu_memory_gib lets the GPU take 120",
    ),
    "no carve-out": (
        lambda d: d.variables.update(gpu_memory_carve_out_mib=0),
        "gpu_memory_carve_out_mib",
        "a number above 0 (MiB)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_mistake_is_named(draft: Any, name: str) -> None:
    spoil, variable, words = BAD[name]
    spoil(draft)
    found = find_problems(draft.finish())
    assert [p for p in found if p.variable == variable and words in str(p)], format_problems(found)
    assert {p.variable for p in found} == {variable}, format_problems(found)


GOOD: dict[str, Callable[[Any], object]] = {
    "wheels": manage,
    "containers": lambda d: manage(d, "container", "huggingface-hub==2.4.0\n"),
    "a node without a GPU may have any lock": lambda d: [
        manage(d, "wheels", CUDA),
        d.variables.update(rocm_manage=False),
    ],
    "accepted": lambda d: [
        manage(d, text="torch==2.9.1\nvllm==0.20.0+rocm721\n"),
        d.variables.update(rocm_accepted_packages=["torch"]),
    ],
    "a firmware that YAML takes for a number": lambda d: d.variables.update(rocm_firmware_min=20260410),
    "as much as the limit": lambda d: d.variables.update(plan_gpu_memory_gib=120, kernel_args_gpu_memory_gib=120),
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_wrong(draft: Any, name: str) -> None:
    GOOD[name](draft)
    found = find_problems(draft.finish())
    assert not found, format_problems(found)


@pytest.mark.parametrize("value", [None, 0, "text", [], {}, [None], [{"name": 1, "nodes": 1}]])
@pytest.mark.parametrize(
    "variable", ["tandem_runtime", "rocm_runtime", "rocm_accepted_packages", "vllm_engine_engines"]
)
def test_no_nonsense_ends_in_a_traceback(draft: Any, variable: str, value: Any) -> None:
    manage(draft)
    draft.variables[variable] = value
    for problem in find_problems(draft.finish()):
        assert problem.remedy


def test_the_lock_is_read_where_it_lies(draft: Any, tmp_path: Path) -> None:
    manage(draft)
    description = draft.finish()
    lock = tmp_path / "requirements.lock"
    for variables in description.variables.values():
        variables["tandem_runtime"] = {**variables["tandem_runtime"], "lock": str(lock)}

    def told() -> str:
        found = problems(description.variables, description.groups, str(ROOT / "roles"))
        return "\n".join(line for line in found if "tandem_runtime.lock" in line)

    assert "No such file or directory" in told()
    lock.write_text(CUDA)
    assert "vllm" in told()
    assert "belongs to CUDA" in told()
    lock.write_text(ROCM)
    assert told() == ""
