"""The manifest format: what GNU ``sha256sum`` writes and ``sha256sum --check`` reads. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# "\" in front marks an escaped name; "*" is sha256sum's mark for binary mode.
_LINE = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {shown: character for character, shown in _ESCAPES.items()}


class ManifestError(ValueError):
    """A manifest that cannot be used; the text names the line and what is wrong with it."""


def render_manifest(digests: Mapping[str, str]) -> bytes:
    """Return sorted ``sha256sum`` lines for relative file names and their digests."""
    lines = [_render_line(name, digests[name]) for name in sorted(digests)]
    return "".join(lines).encode("utf-8", "surrogateescape")


def parse_manifest(content: bytes) -> dict[str, str]:
    """Return ``{relative name: digest}``; anything doubtful is a ManifestError."""
    digests: dict[str, str] = {}
    text = content.decode("utf-8", "surrogateescape")
    if not text.endswith("\n"):
        raise ManifestError("the manifest is empty or cut short: its last line does not end")
    # Not splitlines(): a name may hold any of the many characters Python takes for a line end.
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        name, digest = _parse_line(line, number)
        if name in digests:
            raise ManifestError(f"line {number}: {name!r} is listed twice")
        digests[name] = digest
    return digests


def _render_line(name: str, digest: str) -> str:
    shown = "".join(_ESCAPES.get(character, character) for character in name)
    mark = "\\" if shown != name else ""
    return f"{mark}{digest}  {shown}\n"


def _parse_line(line: str, number: int) -> tuple[str, str]:
    if line.endswith("\r"):
        raise ManifestError(f"line {number}: ends in CR LF; write the manifest with LF line ends")
    match = _LINE.fullmatch(line)
    if match is None:
        raise ManifestError(f"line {number}: expected '<64 hex digits>  <file name>', found {line[:90]!r}")
    name = match["name"]
    if match["escaped"]:
        name = re.sub(r"\\(.?)", lambda part: _unescape(part.group(0), number), name)
    name = name.removeprefix("./")
    parts = name.split("/")
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts) or "\0" in name:
        raise ManifestError(f"line {number}: {name!r} is not a plain path below the directory")
    return name, match["digest"]


def _unescape(shown: str, number: int) -> str:
    try:
        return _UNESCAPES[shown]
    except KeyError:
        raise ManifestError(f"line {number}: unknown escape {shown!r} in the file name") from None
