"""Reading what ``iperf3 -J`` and ``ping`` print. Pure: text in, numbers out."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any


class Unparsable(Exception):
    """Output that does not mean anything to this code."""


@dataclass(frozen=True)
class Latency:
    """Half of each round trip, as perftest reports latency; None where it cannot be told."""

    message_size_bytes: int
    iterations: int
    latency_min_usec: float | None
    latency_max_usec: float | None
    latency_typical_usec: float | None
    latency_avg_usec: float | None
    latency_stdev_usec: float | None
    latency_p99_usec: float | None
    latency_p999_usec: float | None


@dataclass(frozen=True)
class Bandwidth:
    """What arrived. TCP has no messages whose rate could be counted."""

    message_size_bytes: int | None
    iterations: None
    bandwidth_peak_gbit_per_s: float | None
    bandwidth_avg_gbit_per_s: float | None
    message_rate_mpps: None


@dataclass(frozen=True)
class Iperf:
    """One report of iperf3: a result or an error, and whether the two ends had met."""

    error: str | None
    met: bool
    bandwidth: Bandwidth | None


@dataclass(frozen=True)
class Ping:
    """The answers to echo requests."""

    sent: int
    received: int
    round_trips_usec: tuple[float, ...]


# A kernel that answers late enough is counted twice ("DUP!"): the first answer counts.
# BusyBox says "seq".
_ANSWER = re.compile(r"\b(?:icmp_)?seq=(\d+) .*?time=([\d.]+) ms(?!.*DUP)")
_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received")


def parse_iperf(text: str) -> Iperf:
    """Read a report. One that was cut off is no report; iperf3 of some versions prints text before it."""
    start = text.find("{")
    try:
        document = json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        document = None
    if not isinstance(document, dict) or "start" not in document:
        raise Unparsable(f"no report of iperf3 in {' '.join(text.split())[:120]!r}")
    error = document.get("error")
    begin = _table(document, "start")
    met = bool(begin.get("accepted_connection") or begin.get("connected"))
    return Iperf(str(error) if error else None, met, None if error else _bandwidth(document))


def parse_ping(text: str) -> Ping:
    """Read every answer; without the counts at the end the output was cut off."""
    counts = _COUNTS.search(text)
    if not counts:
        raise Unparsable(f"no counts of ping in {' '.join(text.split())[:120]!r}")
    answers: dict[int, float] = {}
    for number, milliseconds in _ANSWER.findall(text):
        answers.setdefault(int(number), float(milliseconds) * 1000)
    return Ping(int(counts[1]), int(counts[2]), tuple(answers.values()))


def latency(size_bytes: int, round_trips_usec: tuple[float, ...]) -> Latency:
    """What the round trips say about one way. "Typical" is the median, as in perftest."""
    ways = sorted(value / 2 for value in round_trips_usec)
    if not ways:
        raise Unparsable("no answer has a time")
    average = math.fsum(ways) / len(ways)
    deviation = math.sqrt(math.fsum((way - average) ** 2 for way in ways) / len(ways))
    middle = len(ways) // 2
    typical = ways[middle] if len(ways) % 2 else (ways[middle - 1] + ways[middle]) / 2
    return Latency(
        message_size_bytes=size_bytes,
        iterations=len(ways),
        latency_min_usec=round(ways[0], 3),
        latency_max_usec=round(ways[-1], 3),
        latency_typical_usec=round(typical, 3),
        latency_avg_usec=round(average, 3),
        latency_stdev_usec=round(deviation, 3),
        latency_p99_usec=round(_percentile(ways, 99), 3),
        latency_p999_usec=round(_percentile(ways, 99.9), 3),
    )


def _percentile(values: list[float], percent: float) -> float:
    """The nearest rank: the least value that so many percent do not exceed."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _bandwidth(document: dict[str, Any]) -> Bandwidth:
    """What the receiver counted: the sender also counts what is still in its buffers."""
    end = _table(document, "end")
    total = _table(end, "sum_received") or _table(end, "sum")
    average = _gbit_per_s(total)
    if average is None:
        raise Unparsable("the report of iperf3 has no end.sum_received.bits_per_second")
    # The last interval is a few packets in no time, and its rate an accident.
    whole = [
        rate
        for interval in document.get("intervals") or []
        if isinstance(interval, dict)
        and (part := _table(interval, "sum")).get("seconds", 0) >= 0.5
        and (rate := _gbit_per_s(part)) is not None
    ]
    size = _table(_table(document, "start"), "test_start").get("blksize")
    return Bandwidth(size if isinstance(size, int) else None, None, max(whole, default=None), average, None)


def _gbit_per_s(table: dict[str, Any]) -> float | None:
    rate = table.get("bits_per_second")
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not math.isfinite(rate) or rate < 0:
        return None
    return round(rate / 1e9, 6)


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}
