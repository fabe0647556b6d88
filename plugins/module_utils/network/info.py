"""The network interfaces of this node: sysfs and ``ethtool -a`` put together."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..process import CommandError, CommandTimeout, ToolMissing
from ..rdma.pcie import read_pcie
from .pause import Pause, UnexpectedOutput, cannot_tell, is_gone, parse_pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..process import CommandResult

# What the kernel takes for a name. It becomes part of a path and an argument of a program.
_NAME = re.compile(r"(?!-)(?!\.{1,2}$)[^\s/:]{1,15}")


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


class InfoError(Exception):
    """The interfaces could not be read; the message says what to do."""

    def __init__(self, error_kind: str, message: str) -> None:
        """``error_kind`` is one of those of rdma_perftest."""
        super().__init__(message)
        self.error_kind = error_kind


def read_interfaces(run: Runner, names: Sequence[str], sysfs_root: Path, timeout_s: float) -> list[dict[str, Any]]:
    """Each interface in the order of the names; one that is not there has ``exists`` false and nulls."""
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise InfoError("unparsable", f"interfaces: {wrong[0]!r} is no name of a network interface")
    return [_interface(run, name, sysfs_root, timeout_s) for name in names]


def _interface(run: Runner, name: str, sysfs_root: Path, timeout_s: float) -> dict[str, Any]:
    directory = sysfs_root / "class" / "net" / name
    exists = directory.is_dir()
    pcie = read_pcie(sysfs_root, directory / "device") if exists else None
    pause = _pause(run, name, timeout_s) if exists else None
    speed = _number(directory / "speed")
    carrier = _number(directory / "carrier")
    return {
        "name": name,
        "exists": exists,
        "operational_state": _text(directory / "operstate"),
        # An interface that is switched off has none, and the kernel refuses to tell.
        "carrier": None if carrier is None else carrier == 1,
        "mtu_bytes": _number(directory / "mtu"),
        # -1, or 2^32 - 1 on old kernels: unknown.
        "speed_gbit_per_s": speed / 1000 if speed is not None and 0 < speed < 2**31 else None,
        "driver": _target(directory / "device" / "driver"),
        "pause": asdict(pause) if pause else None,
        "pcie": asdict(pcie) if pcie else None,
    }


def _pause(run: Runner, name: str, timeout_s: float) -> Pause | None:
    try:
        result = run(["ethtool", "-a", name], timeout_s=timeout_s)
    except ToolMissing as error:
        raise InfoError("missing_tool", f"{error}. Install ethtool") from error
    except CommandTimeout as error:
        raise InfoError("timeout", f"{error}. The driver of {name} does not answer; look at dmesg") from error
    except CommandError as error:
        raise InfoError("unparsable", str(error)) from error
    if result.returncode != 0:
        if cannot_tell(result.stderr) or is_gone(result.stderr):
            return None
        words = " ".join(result.stderr.split()) or "nothing"
        kind = "permission" if re.search("not permitted|permission denied", words, re.IGNORECASE) else "unparsable"
        raise InfoError(kind, f"ethtool -a {name} failed with status {result.returncode} and said {words[:200]}")
    try:
        return parse_pause(result.stdout)
    except UnexpectedOutput as error:
        raise InfoError("unparsable", f"{name}: {error}") from error


def _target(path: Path) -> str | None:
    """The name of what a link points to."""
    try:
        return Path(path.readlink()).name
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
