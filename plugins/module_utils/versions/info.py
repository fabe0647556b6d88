"""The versions of one node: its files, and the tools that know the rest, put together."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..kernel_args.tokens import key_of, meaning_of, split
from ..network.info import InfoError, read_interfaces
from ..process import CommandError, ToolMissing
from .cards import UnexpectedOutput, parse_driver, parse_firmware
from .packages import RPM, parse_dpkg, parse_os_release, parse_rpm, tool_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..process import CommandResult

_IMAGE = re.compile(r"^Image=(\S+)", re.MULTILINE)
_CARD_FILES = ("vendor", "device", "subsystem_vendor", "subsystem_device")
_UNIT = "tandem-engine@"


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


class Versions:
    """Reads everything; what a node cannot tell is null, and said in ``warnings``."""

    def __init__(self, run: Runner, root: Path, timeout_s: float) -> None:
        """Nothing is read yet."""
        self._run = run
        self._root = root
        self._timeout_s = timeout_s
        self.warnings: list[str] = []

    def read(
        self, links: Mapping[str, str], packages: Sequence[str], kernel_arguments: Sequence[str]
    ) -> dict[str, Any]:
        """Return the facts; ``links`` maps a link to its interface here."""
        release = parse_os_release(self._text("etc/os-release"))
        return {
            "kernel": os.uname().release,
            "distribution": f"{release.get('ID', 'unknown')} {release.get('VERSION_ID', '')}".strip(),
            "packages": self._packages(release, packages),
            "kernel_arguments": self._kernel_arguments(kernel_arguments),
            "links": {link: self._interface(name) for link, name in links.items()},
            "runtimes": self._runtimes(),
            "images": self._images(),
        }

    def _packages(self, release: Mapping[str, str], names: Sequence[str]) -> dict[str, str] | None:
        tool = tool_of(release)
        if tool is None or not names:
            return None
        # A package that is not installed makes for a status other than 0, and for no line.
        text = self._ask([*tool, *names], any_status=True)
        if text is None:
            return None
        return (parse_rpm if tool is RPM else parse_dpkg)(text, names)

    def _kernel_arguments(self, wanted: Sequence[str]) -> dict[str, str]:
        """The arguments of the running kernel that are ours, by name; one without a value is "set"."""
        keys = {key_of(token) for token in wanted}
        found: dict[str, list[str]] = {}
        for key, value in map(meaning_of, split(self._text("proc/cmdline"))):
            if key in keys:
                found.setdefault(key, []).append("set" if value is None else value)
        return {key: " ".join(values) for key, values in found.items()}

    def _interface(self, name: str) -> dict[str, Any]:
        try:
            (found,) = read_interfaces(self._run, [name], self._root / "sys", self._timeout_s)
        except InfoError as error:
            self.warnings.append(str(error))
            found = {"name": name, "mtu_bytes": None, "driver": None, "pause": None}
        facts = {key: found[key] for key in ("name", "mtu_bytes", "driver", "pause")}
        device = self._root / "sys" / "class" / "net" / name / "device"
        ids = [_read(device / file).removeprefix("0x") for file in _CARD_FILES]
        # An interface without a card (a bridge, one of a container) has no firmware that its driver could tell.
        if not ids[0]:
            return {**facts, "card": None, "driver_version": None, "firmware": None, "firmware_components": {}}
        text = self._ask(["ethtool", "-i", name])
        driver = self._parsed(parse_driver, text)
        address = driver.bus_address if driver else None
        text = self._ask(["devlink", "-j", "dev", "info", f"pci/{address}"], any_status=True) if address else None
        # A driver without devlink is no fault.
        firmware = self._parsed(parse_firmware, text or None)
        return {
            **facts,
            "card": ":".join(ids[:2]) + (f" {':'.join(ids[2:])}" if ids[2] else ""),
            "driver_version": driver.version if driver else None,
            "firmware": driver.firmware if driver else None,
            "firmware_components": firmware.running if firmware else {},
        }

    def _runtimes(self) -> dict[str, str]:
        """The release of each program that its ``current`` link names."""
        found = {}
        for directory in sorted((self._root / "opt/tandem").glob("*")):
            link = directory / "current"
            # Also one that leads nowhere, which a pattern would pass over.
            if link.is_symlink():
                found[directory.name] = Path(link.readlink()).name
        return found

    def _images(self) -> dict[str, str | None]:
        """What podman takes the image of each engine in a container for."""
        found = {}
        for file in sorted((self._root / "etc/containers/systemd").glob(f"{_UNIT}*.container")):
            named = _IMAGE.search(_read(file))
            if named:
                text = self._ask(["podman", "image", "inspect", "--format", "{{.Id}}", named[1]])
                found[file.stem.removeprefix(_UNIT)] = text.strip() if text else None
        return found

    def _ask(self, argv: Sequence[str], *, any_status: bool = False) -> str | None:
        """Run a tool; None, and a warning, if it cannot tell."""
        try:
            result = self._run(argv, timeout_s=self._timeout_s)
        except (CommandError, ToolMissing) as error:
            self.warnings.append(str(error))
            return None
        if result.returncode != 0 and not any_status:
            words = " ".join((result.stderr or result.stdout).split()) or "nothing"
            self.warnings.append(f"{' '.join(argv)} ended with status {result.returncode} and said {words[:200]}")
            return None
        return result.stdout

    def _parsed(self, parse: Any, text: str | None) -> Any:  # noqa: ANN401 (whatever the parser makes)
        if text is None:
            return None
        try:
            return parse(text)
        except UnexpectedOutput as error:
            self.warnings.append(str(error))
            return None

    def _text(self, path: str) -> str:
        return _read(self._root / path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
