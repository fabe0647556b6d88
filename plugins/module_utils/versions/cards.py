"""Reading what ``ethtool -i`` and ``devlink -j dev info`` print. Pure: text in, values out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class UnexpectedOutput(Exception):
    """A tool printed something this code was not written for."""


@dataclass(frozen=True)
class Driver:
    """A driver as it names itself; None for what it does not tell."""

    name: str
    version: str | None
    firmware: str | None
    bus_address: str | None


@dataclass(frozen=True)
class Firmware:
    """Versions by component. ``stored`` is in the card's flash and runs from the next power cycle or reset on."""

    running: dict[str, str] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)


def parse_driver(text: str) -> Driver:
    """Read the output of ``ethtool -i``."""
    values = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            values[name.strip()] = value.strip()
    if not values.get("driver"):
        raise UnexpectedOutput(f"ethtool -i: no driver in {' '.join(text.split())[:120]!r}")

    def told(name: str) -> str | None:
        value = values.get(name, "")
        return None if value in ("", "N/A", "n/a") else value

    return Driver(values["driver"], told("version"), told("firmware-version"), told("bus-info"))


def parse_firmware(text: str) -> Firmware:
    """Read the output of ``devlink -j dev info DEVICE``, which has one device."""
    try:
        devices = json.loads(text)["info"]
        (device,) = devices.values()
        versions = device.get("versions", {})
        return Firmware(_texts(versions.get("running", {})), _texts(versions.get("stored", {})))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnexpectedOutput(f"devlink -j dev info: not one device in {' '.join(text.split())[:120]!r}") from None


def _texts(versions: dict[str, Any]) -> dict[str, str]:
    return {str(name): str(version) for name, version in versions.items()}
