"""The RDMA devices of this node: ``ibv_devinfo`` and sysfs put together."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..process import CommandError, CommandTimeout, ToolMissing
from .devinfo import DevinfoDevice, DevinfoPort, UnexpectedOutput, parse_devinfo
from .gids import roce_v2_ipv4_gid_index
from .sysfs import DeviceTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..process import CommandResult

ARGV = ("ibv_devinfo", "-v")
#: The kernel has no verbs at all (ib_uverbs is not loaded): there is no device then.
_NO_VERBS = "Failed to get IB devices list: Function not implemented"
_NO_DEVICE = "No IB devices found"


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


class InfoError(Exception):
    """The devices could not be read; the message says what to do."""

    def __init__(self, error_kind: str, message: str) -> None:
        """``error_kind`` is one of those of rdma_perftest."""
        super().__init__(message)
        self.error_kind = error_kind


@dataclass(frozen=True)
class Devices:
    """What was found, and what the tool complained about on the way."""

    devices: list[dict[str, Any]]
    warnings: list[str]


def read_devices(run: Runner, sysfs_root: Path, timeout_s: float) -> Devices:
    """All RDMA devices of this node."""
    tool = " ".join(ARGV)
    try:
        result = run(ARGV, timeout_s=timeout_s)
    except ToolMissing as error:
        raise InfoError("missing_tool", f"{error}. Install rdma-core's tools (package ibverbs-utils)") from error
    except CommandTimeout as error:
        raise InfoError("timeout", f"{error}. A device does not answer; look at dmesg") from error
    except CommandError as error:
        raise InfoError("unparsable", str(error)) from error
    said = _lines(result.stderr)
    if "hca_id" not in result.stdout and (result.returncode != 0 or _NO_DEVICE in said + _lines(result.stdout)):
        said += _lines(result.stdout)
        return Devices([], _without_devices(said, f"{tool} failed with status {result.returncode}"))
    try:
        found = parse_devinfo(result.stdout)
    except UnexpectedOutput as error:
        raise InfoError("unparsable", f"{tool} printed something that is not understood: {error}") from error
    if result.returncode != 0:
        said.insert(0, f"{tool} ended with status {result.returncode}: not every device may be listed")
    return Devices([_device(device, sysfs_root) for device in found], said)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _without_devices(said: list[str], failure: str) -> list[str]:
    """What is left to say if there is no device; any other failure is raised."""
    if _NO_DEVICE in said or _NO_VERBS in said:
        return [line for line in said if line not in (_NO_DEVICE, _NO_VERBS)]
    text = "; ".join(said) or "it said nothing"
    # A device that is there but does not open: this user may not, as a rule.
    denied = re.search("permission denied|operation not permitted|failed to open device", text, re.IGNORECASE)
    raise InfoError("permission" if denied else "unparsable", f"{failure}: {text}")


def _device(device: DevinfoDevice, sysfs_root: Path) -> dict[str, Any]:
    tree = DeviceTree(sysfs_root, device.name)
    ports = [_port(port, tree, only_port=len(device.ports) == 1) for port in device.ports]
    pcie = tree.pcie(port["netdev"] for port in ports)
    return {**asdict(device), "ports": ports, "pcie": asdict(pcie) if pcie else None}


def _port(port: DevinfoPort, tree: DeviceTree, *, only_port: bool) -> dict[str, Any]:
    gids = tree.gids(port.port, port.link_layer, {gid.index: gid for gid in port.gids})
    if not gids:
        gids = list(port.gids)
    return {
        **asdict(port),
        "rate_gbit_per_s": tree.rate_gbit_per_s(port.port) or port.rate_gbit_per_s,
        "netdev": tree.netdev(port.port, gids, only_port=only_port),
        "gids": [asdict(gid) for gid in gids],
        "roce_v2_ipv4_gid_index": roce_v2_ipv4_gid_index(gids),
    }
