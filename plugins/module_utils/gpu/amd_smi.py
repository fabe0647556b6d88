"""Read the JSON of ``amd-smi static`` and ``amd-smi version``, whose form changed between releases."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_UNITS = {"KB": 2**10, "MB": 2**20, "GB": 2**30}
_SIZE = re.compile(r"(\d+) ?([KMG]B)")


class AmdSmiError(Exception):
    """The output is no JSON of the known kind; the message says what it is."""


@dataclass(frozen=True)
class SmiGpu:
    """One GPU. amd-smi writes N/A for what it does not know; here that is None."""

    pci_address: str | None
    architecture: str | None
    marketing_name: str | None
    driver_version: str | None
    compute_units: int | None
    vram_bytes: int | None


@dataclass(frozen=True)
class SmiVersions:
    """What belongs to amd-smi and the ROCm that it came with."""

    tool: str | None
    rocm: str | None


def parse_static(text: str) -> list[SmiGpu]:
    """All GPUs of ``static --json``: a list, or, in newer releases, a dictionary that has it as ``gpu_data``."""
    document = _document(text)
    entries = document.get("gpu_data") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise AmdSmiError(f"it printed no list of GPUs: {_beginning(text)!r}")
    # Processors may be listed, too.
    return [_gpu(entry) for entry in entries if isinstance(entry, dict) and "gpu" in entry]


def parse_version(text: str) -> SmiVersions:
    """The answer of ``version --json``: a dictionary, in some releases in a list."""
    document = _document(text)
    entry = document[0] if isinstance(document, list) and document else document
    if not isinstance(entry, dict):
        raise AmdSmiError(f"it printed no versions: {_beginning(text)!r}")
    return SmiVersions(_known(entry.get("version")), _known(entry.get("rocm_version")))


def _document(text: str) -> Any:  # noqa: ANN401 (what JSON can hold)
    """The JSON. Warnings may stand before it."""
    start = re.search(r"^[\[{]", text, re.MULTILINE)
    if not start:
        raise AmdSmiError("; ".join(line.strip() for line in text.splitlines() if line.strip()) or "it printed nothing")
    try:
        document, _ = json.JSONDecoder().raw_decode(text[start.start() :])
    except json.JSONDecodeError as error:
        raise AmdSmiError(f"its JSON is broken or ends early ({error}): {_beginning(text)!r}") from error
    return document


def _beginning(text: str) -> str:
    return " ".join(text.split())[:80]


def _gpu(entry: dict[str, Any]) -> SmiGpu:
    asic, bus, driver, vram = (
        part if isinstance(part, dict) else {} for part in (entry.get(k) for k in ("asic", "bus", "driver", "vram"))
    )
    address = _known(bus.get("bdf"))
    units = asic.get("num_compute_units")
    return SmiGpu(
        pci_address=address.lower() if address else None,
        architecture=_known(asic.get("target_graphics_version")),
        marketing_name=_known(asic.get("market_name")),
        # Older releases repeat the word.
        driver_version=_known(driver.get("version", driver.get("driver_version"))),
        compute_units=units if isinstance(units, int) else None,
        vram_bytes=_bytes(vram.get("size", vram.get("vram_size"))),
    )


def _known(value: object) -> str | None:
    text = str(value).strip() if value is not None else ""
    return text if text and text != "N/A" else None


def _bytes(value: object) -> int | None:
    if isinstance(value, dict):
        value = f"{value.get('value')} {value.get('unit')}"
    match = _SIZE.fullmatch(str(value))
    return int(match[1]) * _UNITS[match[2]] if match else None
