"""Versions of installed packages, as rpm and dpkg tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RPM = ("rpm", "--query", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n")
DPKG = ("dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\\n")


def parse_rpm(text: str, names: Sequence[str]) -> dict[str, str]:
    """Read name and version a line; "package NAME is not installed" is no such line."""
    return {words[0]: words[1] for words in map(str.split, text.splitlines()) if len(words) == 2 and words[0] in names}


def parse_dpkg(text: str, names: Sequence[str]) -> dict[str, str]:
    """Read name, version and state a line; of a removed package its configuration may be left."""
    return {
        words[0]: words[1]
        for words in map(str.split, text.splitlines())
        if len(words) == 3 and words[0] in names and words[2] == "installed"
    }


def tool_of(os_release: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return who knows the packages of a distribution; None where that is not known here."""
    families = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    if families & {"fedora", "rhel", "centos", "suse", "opensuse"}:
        return RPM
    return DPKG if families & {"debian", "ubuntu"} else None


def parse_os_release(text: str) -> dict[str, str]:
    """Read ``/etc/os-release``."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
