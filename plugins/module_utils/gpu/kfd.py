"""GPUs as the kernel's compute driver lists them, below ``class/kfd/kfd/topology/nodes``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINE = re.compile(r"(\w+) (\d+)")
#: Of GPUs that are never a card of their own: their memory is the machine's. gfx942 is either (MI300A, MI300X).
_INTEGRATED = {
    *("gfx902", "gfx909", "gfx90c", "gfx1013", "gfx1033", "gfx1035", "gfx1036", "gfx1037"),
    *("gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153"),
}
_EITHER = {"gfx942"}


@dataclass(frozen=True)
class KfdGpu:
    """One node of the topology that computes as a GPU does."""

    node: int
    architecture: str
    pci_address: str
    compute_units: int | None
    render_minor: int | None


def parse_properties(text: str) -> dict[str, int]:
    """Read ``key number`` lines. What is not of this form, such as a line that was cut off, is left out."""
    found = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {match[1]: int(match[2]) for match in found if match}


def gfx_name(target_version: int) -> str | None:
    """The architecture of a ``gfx_target_version``: 110501 is gfx1151, 90010 is gfx90a; 0 is none."""
    major, minor, stepping = target_version // 10000, target_version // 100 % 100, target_version % 100
    return f"gfx{major}{minor:x}{stepping:x}" if major else None


def pci_address(domain: int, location: int) -> str:
    """The PCI address of a bus, device and function in one number, as KFD and ROCm write it (BDF)."""
    return f"{domain:04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}.{location & 7}"


def is_integrated(architecture: str | None) -> bool | None:
    """Whether the GPU shares the machine's memory; None if its architecture does not tell."""
    return None if architecture is None or architecture in _EITHER else architecture in _INTEGRATED


def to_gpu(node: int, properties: dict[str, int]) -> KfdGpu | None:
    """The GPU of a node; None for processors, and for a node that says too little."""
    architecture = gfx_name(properties.get("gfx_target_version", 0))
    if architecture is None or not properties.get("simd_count") or "location_id" not in properties:
        return None
    per_unit = properties.get("simd_per_cu")
    return KfdGpu(
        node,
        architecture,
        pci_address(properties.get("domain", 0), properties["location_id"]),
        properties["simd_count"] // per_unit if per_unit else None,
        properties.get("drm_render_minor") or None,
    )


def read_kfd(sysfs_root: Path) -> Iterator[KfdGpu]:
    """All GPUs, in the order of their nodes. Several may be parts of one device."""
    nodes = sysfs_root / "class" / "kfd" / "kfd" / "topology" / "nodes"
    for path in sorted((p for p in nodes.glob("[0-9]*") if p.name.isdigit()), key=lambda p: int(p.name)):
        try:
            text = (path / "properties").read_text(encoding="utf-8", errors="replace")
        except OSError:
            # EPERM: a GPU that was not given to this container.
            continue
        gpu = to_gpu(int(path.name), parse_properties(text))
        if gpu:
            yield gpu
