"""The edge to package indexes: pip, with the user's own configuration."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tandem.app.lock import Requirement

# The newest C library of which wheels are taken: Debian 12. Newer systems run these too.
_NEWEST_GLIBC_MINOR = 36
_LEGACY_TAGS = {"x86_64": ("manylinux2014", "manylinux2010", "manylinux1"), "aarch64": ("manylinux2014",)}

_UNREACHABLE = re.compile(
    r"Max retries exceeded|Failed to establish a new connection|NewConnectionError|ConnectTimeout|[Rr]ead timed out"
    r"|Temporary failure in name resolution|Name or service not known|ProxyError|Connection (?:refused|reset|aborted)"
    r"|Network is unreachable|SSLError|CERTIFICATE_VERIFY_FAILED|NameResolutionError",
)
_NOT_OFFERED = re.compile(r"No matching distribution found|Could not find a version|ResolutionImpossible")
_MISMATCH = re.compile(r"DO NOT MATCH THE HASHES")
_FULL = re.compile(r"No space left on device|Disk quota exceeded")


class NotOfferedError(Exception):
    """The configured indexes have no wheel of at least one of the requirements."""


@dataclass(frozen=True, slots=True)
class Target:
    """The interpreter that wheels are for."""

    python_version: str
    platform: str

    def arguments(self) -> list[str]:
        """Return pip's options that select wheels for this interpreter, whatever runs pip."""
        oldest = 5 if self.platform == "x86_64" else 17
        tags = [f"manylinux_2_{minor}_{self.platform}" for minor in range(_NEWEST_GLIBC_MINOR, oldest - 1, -1)]
        tags += [f"{tag}_{self.platform}" for tag in _LEGACY_TAGS[self.platform]]
        tags.append(f"linux_{self.platform}")
        interpreter = "cp" + self.python_version.replace(".", "")
        options = ["--only-binary=:all:", "--python-version", self.python_version, "--implementation", "cp"]
        options += [option for abi in (interpreter, "abi3", "none") for option in ("--abi", abi)]
        return options + [option for tag in tags for option in ("--platform", tag)]


def _run_pip(arguments: Sequence[str], *, temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("pip") is None:
        raise TandemError(f"{sys.executable} has no pip: make the virtual environment with `make venv`")
    environment = os.environ | {"LC_ALL": "C.UTF-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    if temporary is not None:
        environment["TMPDIR"] = str(temporary)
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, check=False, text=True, env=environment
    )


def configuration() -> str:
    """Return where pip looks, for error messages: pip's own settings, passwords left out."""
    lines = _run_pip(["config", "list"]).stdout.splitlines()
    settings = [line for line in lines if re.search(r"index|find-links|constraint|proxy", line.split("=")[0])]
    return re.sub(r"//[^/@\s]+@", "//***@", "; ".join(settings)) or "pip's defaults, nothing configured"


def download(
    requirements: Sequence[Requirement], target: Target, directory: Path, *, extra_index_urls: Sequence[str] = ()
) -> None:
    """Download the wheels of these requirements into `directory`; pip checks the hashes of those that have one.

    Raises NotOfferedError if a requirement is not on offer, TandemError for everything else that can go wrong.
    """
    directory.mkdir(parents=True, exist_ok=True)
    listing = directory / "requirements.txt"
    listing.write_text("".join(f"{item.line()}\n" for item in requirements), encoding="utf-8")
    result = _run_pip(
        [
            *("download", "--no-deps", "--no-cache-dir", "--progress-bar=off", "--retries=2"),
            *target.arguments(),
            *(f"--extra-index-url={url}" for url in extra_index_urls),
            *("--dest", str(directory), "--requirement", str(listing)),
        ],
        temporary=directory,
    )
    listing.unlink()
    if result.returncode:
        _raise(result.stdout + result.stderr, requirements, directory)


def _raise(output: str, requirements: Sequence[Requirement], directory: Path) -> None:
    names = ", ".join(map(str, requirements))
    if _MISMATCH.search(output):
        details = re.findall(r"(?:Expected sha256|or|Got)\s+[0-9a-f]{64}", output)
        culprit = re.search(r"^\s+(\S+==\S+) from ", output, re.MULTILINE)
        raise TandemError(
            f"hash mismatch: {culprit[1] if culprit else names} is not the file the lock names "
            f"({', '.join(details)}). Nothing was kept; do not install it before you know why"
        )
    if _FULL.search(output):
        raise TandemError(f"no space left in {directory.parent} while downloading {names}")
    if match := _UNREACHABLE.search(output):
        line = next(line for line in output.splitlines() if match[0] in line)
        raise TandemError(f"cannot reach a package index: {line.strip()[:200]}. Indexes: {configuration()}")
    if _NOT_OFFERED.search(output):
        raise NotOfferedError(names)
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines()[-1:]
    raise TandemError(f"pip could not download {names}: {' '.join(errors)[:400]}")


def build_wheel(source: Path, directory: Path) -> None:
    """Build the wheel of a local project without a network: its build backend must be installed here."""
    result = _run_pip(
        [
            *("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir"),
            *("--wheel-dir", str(directory), str(source)),
        ]
    )
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise TandemError(
            f"cannot build the project {source.name}: {reason}. Is its build backend in this environment?"
        )
