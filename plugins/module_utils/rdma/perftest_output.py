"""Reading what perftest prints. Pure: text in, numbers out.

Tables are read by the words of their header, never by position: versions differ in columns, units and in what they
print between header and rows. A row that does not fit its header is an error, not a guess.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass


class Unparsable(Exception):
    """Output that does not mean anything to this code."""


@dataclass(frozen=True)
class Latency:
    """One message size of a latency test; None where the version does not print it."""

    message_size_bytes: int | None
    iterations: int | None
    latency_min_usec: float | None = None
    latency_max_usec: float | None = None
    latency_typical_usec: float | None = None
    latency_avg_usec: float | None = None
    latency_stdev_usec: float | None = None
    latency_p99_usec: float | None = None
    latency_p999_usec: float | None = None


@dataclass(frozen=True)
class Bandwidth:
    """One message size of a bandwidth test; None where it was not measured."""

    message_size_bytes: int | None
    iterations: int | None
    bandwidth_peak_gbit_per_s: float | None = None
    bandwidth_avg_gbit_per_s: float | None = None
    message_rate_mpps: float | None = None


Result = Latency | Bandwidth


@dataclass(frozen=True)
class Settings:
    """What the two ends agreed on; None where it was not printed."""

    device: str | None
    mtu_bytes: int | None
    gid_index: int | None
    link_type: str | None
    connection_type: str | None


@dataclass(frozen=True)
class _Column:
    """A column: the field it fills (None: not of interest) and the factor to the unit of that field."""

    field: str | None
    factor: float = 1.0


# Words end at their unit, at a tab, at two blanks or at the end of the line.
_COLUMN = re.compile(r"#\s?\w+|[^\s#\[][^\[\t]*?(?:\s?\[[^\]]*\]|(?=\s{2,}|\t|$))")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE)
_UNIT = re.compile(r"^(.*?)\s*\[([^\]]*)\]$")
_TIME_FIELDS = {
    "t_min": "latency_min_usec",
    "t_max": "latency_max_usec",
    "t_typical": "latency_typical_usec",
    "t_avg": "latency_avg_usec",
    "t_stdev": "latency_stdev_usec",
    "99% percentile": "latency_p99_usec",
    "99.9% percentile": "latency_p999_usec",
}
_TIME_UNITS = {"": 1.0, "usec": 1.0, "us": 1.0, "nsec": 1e-3, "ns": 1e-3, "msec": 1e3, "ms": 1e3}
_BANDWIDTH_FIELDS = {"bw peak": "bandwidth_peak_gbit_per_s", "bw average": "bandwidth_avg_gbit_per_s"}
# perftest's "MB" always was 2^20 bytes; newer versions write the same number as "MiB".
_MEBIBYTE_GBIT = 8 * 2**20 / 1e9
_BANDWIDTH_UNITS = {
    **dict.fromkeys(("MB/sec", "MiB/sec", "MB/s", "MiB/s"), _MEBIBYTE_GBIT),
    **dict.fromkeys(("Gb/sec", "Gbit/sec", "Gb/s", "Gbps"), 1.0),
    **dict.fromkeys(("Mb/sec", "Mbit/sec", "Mb/s", "Mbps"), 1e-3),
}
_RATE_UNITS = {"mpps": 1.0, "kpps": 1e-3, "pps": 1e-6}
_SETTINGS = {
    "device": re.compile(r"(?:^|\s)Device\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE),
    "mtu_bytes": re.compile(r"^\s*Mtu\s*:\s*(\d+)", re.IGNORECASE | re.MULTILINE),
    "gid_index": re.compile(r"^\s*GID index\s*:\s*(\d+)", re.IGNORECASE | re.MULTILINE),
    "link_type": re.compile(r"(?:^|\s)Link type\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE),
    "connection_type": re.compile(r"(?:^|\s)Connection type\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE),
}


def parse_settings(text: str) -> Settings:
    """The block of settings that precedes the table. A last line without its end was cut off, and says nothing."""
    text = text.replace("\r", "")
    text = text[: text.rfind("\n") + 1]
    found = {name: pattern.search(text) for name, pattern in _SETTINGS.items()}
    values = {name: match[1] if match else None for name, match in found.items()}
    mtu, gid_index = values["mtu_bytes"], values["gid_index"]
    return Settings(
        device=values["device"],
        mtu_bytes=int(mtu) if mtu else None,
        gid_index=int(gid_index) if gid_index else None,
        link_type=values["link_type"],
        connection_type=values["connection_type"],
    )


def parse_results(text: str, test: str, bare_unit: str = "Gb/sec") -> list[Result]:
    """The rows of all tables; empty if there are none.

    ``bare_unit`` is that of the lone number that ``--output=bandwidth`` prints, which has no header.
    """
    kind: type[Latency | Bandwidth] = Latency if test.endswith("_lat") else Bandwidth
    columns: list[_Column] | None = None
    results: list[Result] = []
    bare: list[float | None] = []
    for line, end in re.findall(r"([^\r\n]*)([\r\n]+|$)", text):
        if line.lstrip().startswith(("#bytes", "# bytes")):
            columns = _columns(line.strip(), kind)
            continue
        numbers = _numbers(line)
        if numbers is None:
            # Rules, settings, warnings.
            continue
        if not end:
            raise Unparsable(f"the output was cut off: {line.strip()!r}")
        if columns is not None:
            results.append(_row(line, numbers, columns, kind))
        elif len(numbers) == 1:
            # "--output": a lone number, which always has decimals.
            bare += numbers if "." in line else []
        else:
            raise Unparsable(f"numbers without a header: {line.strip()!r}")
    if columns is None and not _SETTINGS["connection_type"].search(text):
        return _bare_results(bare, kind, bare_unit)
    return results


def measured(result: Result) -> bool:
    """Whether a row says anything beyond what was asked for."""
    values = asdict(result)
    return any(value is not None for name, value in values.items() if name not in ("message_size_bytes", "iterations"))


def _bare_results(bare: list[float | None], kind: type[Result], unit: str) -> list[Result]:
    if kind is Latency:
        return [Latency(None, None, latency_avg_usec=_at_least_zero(value)) for value in bare]
    factor = _BANDWIDTH_UNITS[unit]
    return [
        Bandwidth(None, None, bandwidth_avg_gbit_per_s=None if value is None else _at_least_zero(value * factor))
        for value in bare
    ]


def _columns(header: str, kind: type[Result]) -> list[_Column]:
    columns = [_column(word.strip()) for word in _COLUMN.findall(header)]
    fields = [column.field for column in columns if column.field]
    wanted = {field for field in kind.__dataclass_fields__ if field not in ("message_size_bytes", "iterations")}
    if len(set(fields)) != len(fields) or not wanted & set(fields) or "message_size_bytes" not in fields:
        raise Unparsable(f"header of another kind of table: {header!r}")
    return columns


def _column(word: str) -> _Column:
    split = _UNIT.match(word)
    name, unit = (" ".join(split[1].split()), split[2].strip()) if split else (" ".join(word.split()), "")
    name = name.lower().replace("# ", "#")
    if name == "#bytes":
        return _Column("message_size_bytes")
    if name == "#iterations":
        return _Column("iterations")
    if name in _TIME_FIELDS:
        return _Column(_TIME_FIELDS[name], _factor(_TIME_UNITS, unit.lower(), word))
    if name in _BANDWIDTH_FIELDS:
        return _Column(_BANDWIDTH_FIELDS[name], _factor(_BANDWIDTH_UNITS, unit, word))
    if name == "msgrate":
        return _Column("message_rate_mpps", _factor(_RATE_UNITS, unit.lower(), word))
    return _Column(None)


def _factor(units: dict[str, float], unit: str, word: str) -> float:
    if unit not in units:
        raise Unparsable(f"unknown unit in the column {word!r}")
    return units[unit]


def _numbers(line: str) -> list[float | None] | None:
    """The numbers of a line that has nothing else; None for one of text."""
    words = line.split()
    if not words or not all(_NUMBER.fullmatch(word) for word in words):
        return None
    return [value if math.isfinite(value) else None for value in map(float, words)]


def _row(line: str, numbers: list[float | None], columns: list[_Column], kind: type[Result]) -> Result:
    known = all(column.field for column in columns)
    if len(numbers) != len(columns) and not (known and len(numbers) > len(columns)):
        raise Unparsable(f"{len(numbers)} numbers under {len(columns)} columns: {line.strip()!r}")
    values = {
        column.field: number if number is None else number * column.factor
        for column, number in zip(columns, numbers, strict=False)
        if column.field in kind.__dataclass_fields__
    }
    size, iterations = _whole(values.pop("message_size_bytes"), line), _whole(values.pop("iterations", None), line)
    if size is None:
        raise Unparsable(f"no message size in {line.strip()!r}")
    kept = {name: _at_least_zero(value) for name, value in values.items() if name}
    if iterations == 0:
        # What a run prints that was broken off: nothing was measured.
        kept = dict.fromkeys(kept)
    elif not kept.get("bandwidth_peak_gbit_per_s"):
        # Not measured in duration mode, and printed as 0.
        kept = {**kept, "bandwidth_peak_gbit_per_s": None} if kind is Bandwidth else kept
    return kind(message_size_bytes=size, iterations=iterations, **kept)


def _whole(value: float | None, line: str) -> int | None:
    if value is None:
        return None
    if value != int(value) or value < 0:
        raise Unparsable(f"not a count in {line.strip()!r}")
    return int(value)


def _at_least_zero(value: float | None) -> float | None:
    """Times and rates below zero come from clocks that disagree."""
    return value if value is not None and value >= 0 else None
