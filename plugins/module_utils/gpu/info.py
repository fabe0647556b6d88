"""The GPUs of this node: what the kernel says, completed by what ROCm's tools say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..process import CommandError, ToolMissing
from .amd_smi import AmdSmiError, SmiGpu, parse_static, parse_version
from .kfd import KfdGpu, is_integrated, pci_address, read_kfd
from .rocminfo import Agent, RocminfoError, explain, parse_rocminfo
from .sysfs import Device, read_devices, read_driver_version, read_pages_limit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..process import CommandResult

TOOLS = ("rocminfo", "amd-smi")
#: Not all of it: the rest has hung on gfx1151 (ROCm/TheRock#2789).
STATIC = ("amd-smi", "static", "--asic", "--bus", "--driver", "--vram", "--json")
#: How shells and podman say that there is no such program.
_NOT_FOUND = 127


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


@dataclass
class Tool:
    """How it went with a tool: ``state`` is ok, missing, failed or unused."""

    state: str = "unused"
    message: str = ""


@dataclass
class Told:
    """What the tools told."""

    agents: list[Agent] = field(default_factory=list)
    gpus: list[SmiGpu] = field(default_factory=list)
    rocm_version: str | None = None
    tools: dict[str, Tool] = field(default_factory=dict)


def read_node(
    run: Runner,
    sysfs_root: Path,
    kernel_release: str,
    *,
    prefix: Sequence[str] = (),
    tools: Sequence[str] = TOOLS,
    timeout_s: float = 30,
) -> dict[str, Any]:
    """All that the module returns."""
    told = ask_tools(run, prefix, tools, timeout_s)
    kfd: dict[str, KfdGpu] = {}
    for part in read_kfd(sysfs_root):
        kfd.setdefault(part.pci_address, part)
    warnings = [f"{name}: {tool.message}" for name, tool in told.tools.items() if tool.state == "failed"]
    gpus = []
    for device in read_devices(sysfs_root):
        version = read_driver_version(sysfs_root, device.driver, kernel_release)
        gpus.append(_combine(device, kfd.get(device.pci_address), told, version, warnings))
    return {
        "gpus": gpus,
        "ttm_pages_limit": read_pages_limit(sysfs_root),
        "rocm_version": told.rocm_version,
        "tools": {name.replace("-", "_"): vars(tool) for name, tool in told.tools.items()},
        "warnings": warnings,
    }


def ask_tools(run: Runner, prefix: Sequence[str], tools: Sequence[str], timeout_s: float) -> Told:
    """Run the tools that are wanted. None of them has to be there, or to work."""
    told = Told(tools={name: Tool() for name in TOOLS})
    if "rocminfo" in tools:
        tool = told.tools["rocminfo"]
        text = _ask(run, [*prefix, "rocminfo"], timeout_s, tool)
        try:
            told.agents = parse_rocminfo(text) if text is not None else []
        except RocminfoError as error:
            tool.state, tool.message = "failed", str(error)
    if "amd-smi" in tools:
        tool = told.tools["amd-smi"]
        text = _ask(run, [*prefix, *STATIC], timeout_s, tool)
        versions = _ask(run, [*prefix, "amd-smi", "version", "--json"], timeout_s, tool) if text is not None else None
        try:
            told.gpus = parse_static(text) if text is not None else []
            told.rocm_version = parse_version(versions).rocm if versions is not None else None
        except AmdSmiError as error:
            tool.state, tool.message = "failed", str(error)
    return told


def _ask(run: Runner, argv: Sequence[str], timeout_s: float, tool: Tool) -> str | None:
    """The output of a tool; None if it gave none, which then is written down in ``tool``."""
    try:
        result = run(argv, timeout_s=timeout_s)
    except ToolMissing as error:
        tool.state, tool.message = "missing", str(error)
        return None
    except CommandError as error:
        tool.state, tool.message = "failed", str(error)
        return None
    if result.returncode == 0:
        tool.state, tool.message = "ok", ""
        return result.stdout
    said = explain([line.strip() for line in f"{result.stdout}\n{result.stderr}".splitlines()])
    tool.state = "missing" if result.returncode == _NOT_FOUND else "failed"
    tool.message = f"{' '.join(argv)} ended with status {result.returncode}: {said}"
    return None


def _combine(
    device: Device, kfd: KfdGpu | None, told: Told, driver_version: str | None, warnings: list[str]
) -> dict[str, Any]:
    address = device.pci_address
    agent = next((a for a in told.agents if a.device_type == "GPU" and _is_at(a, address)), None)
    smi = next((gpu for gpu in told.gpus if gpu.pci_address == address), None)
    named = [kfd.architecture if kfd else None, agent.name if agent else None, smi.architecture if smi else None]
    architecture = next((name for name in named if name), None)
    if agent and architecture != agent.name:
        said = f"rocminfo calls the GPU at {address} {agent.name}, the kernel {architecture}"
        warnings.append(f"{said}: is HSA_OVERRIDE_GFX_VERSION set?")
    names = [smi.marketing_name if smi else None, agent.marketing_name if agent else None, device.product_name]
    units = [kfd.compute_units if kfd else None, smi.compute_units if smi else None]
    return {
        "pci_address": address,
        "device_id": device.device_id,
        "architecture": architecture,
        "marketing_name": next((name for name in names if name), None),
        "integrated": True if agent and agent.is_apu else is_integrated(architecture),
        "driver": device.driver,
        "driver_version": driver_version,
        # The kernel's word: amd-smi has been wrong about unified memory.
        "vram_bytes": device.vram_bytes,
        "gtt_bytes": device.gtt_bytes,
        "compute_units": next((count for count in units if count), None),
        "card": device.card,
        "render_node": device.render_node
        or (f"/dev/dri/renderD{kfd.render_minor}" if kfd and kfd.render_minor else None),
        "kfd_node": kfd.node if kfd else None,
        "seen_by_rocminfo": agent is not None if told.tools["rocminfo"].state == "ok" else None,
    }


def _is_at(agent: Agent, address: str) -> bool:
    """rocminfo leaves out the PCI domain."""
    return agent.bdf is not None and pci_address(0, agent.bdf)[5:] == address[5:]
