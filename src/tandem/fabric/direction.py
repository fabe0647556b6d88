"""One direction of a pair: from a client to a server, all runs, in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tandem.fabric import failures
from tandem.fabric.ends import Pair
from tandem.fabric.findings import Check, Finding
from tandem.fabric.outcome import BANDWIDTH_METRIC, METRICS, End, row
from tandem.fabric.settings import (
    BANDWIDTH_TESTS,
    LATENCY_TESTS,
    Measurement,
    Settings,
    control_port,
    limit,
    measurements,
)

#: The statistics of latency that are judged.
LATENCY_METRICS = {"latency_typical": "latency_typical_usec", "latency_p99": "latency_p99_usec"}


@dataclass(frozen=True)
class Way:
    """What is known about a direction before its runs are looked at."""

    pair: Pair
    client: str
    server: str
    settings: Settings
    packet_bytes: int
    ceiling_gbit_per_s: float | None
    limited_by: str
    """What sets the ceiling, in words."""
    reasons: Sequence[Finding]
    """What is wrong and makes the way slow."""
    blocked: bool
    """Whether something is wrong already that explains that there are no runs."""

    @property
    def words(self) -> str:
        """Return the direction in words."""
        return f"{self.client} to {self.server}"


@dataclass
class Direction:
    """What the runs of a direction came to."""

    series: list[dict[str, Any]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    passed: bool = False


def judge_direction(way: Way, runs: Sequence[Mapping[str, Any]]) -> Direction:
    """Return the series and the checks of a direction; what comes after a run that failed is skipped."""
    own = {
        (run["test"], run["message_size_bytes"]): run
        for run in runs
        if (run["client"], run["server"]) == (way.client, way.server)
        and failures.was_tried(run.get("client_result"), run.get("server_result"))
    }
    found = Direction()
    wanted = measurements(way.settings, way.pair["transport"], way.ceiling_gbit_per_s)
    finding, size = None, None
    for measurement in wanted:
        size = measurement["message_size_bytes"]
        run = own.get((measurement["test"], size))
        finding = _unmeasured(way, measurement) if run is None else _run_finding(way, measurement, run, found.series)
        if finding or run is None:
            break
    found.passed = finding is None and len(found.series) == len(wanted)
    found.checks = [_exchange_check(way, found, finding, size), *_latency_checks(way, wanted, found.series)]
    found.checks.append(_bandwidth_check(way, wanted, found.series))
    return found


def _run_finding(
    way: Way, measurement: Measurement, run: Mapping[str, Any], series: list[dict[str, Any]]
) -> Finding | None:
    """Add what the run measured to the series, or return why it measured nothing."""
    tried = failures.Run(
        transport=way.pair["transport"],
        link=way.pair["link"],
        test=run["test"],
        message_size_bytes=run["message_size_bytes"],
        iterations=measurement.get("iterations"),
        timeout_s=measurement["timeout_s"],
        client=End(way.client, run.get("client_result")),
        server=End(way.server, run.get("server_result")),
        server_address=way.pair["addresses"][way.server],
        control_port=control_port(way.settings, way.pair["transport"]),
        packet_bytes=way.packet_bytes,
        passed_sizes=tuple(point["message_size_bytes"] for point in series),
        slow_because=_because(way.reasons),
    )
    if finding := failures.failure(tried):
        return finding
    # An old perftest may report on the server alone.
    measured = row(tried.client.result, tried.message_size_bytes) or row(tried.server.result, tried.message_size_bytes)
    if measured is None:
        return Finding(
            "unmeasured",
            f"{tried.name} ended well on both ends and measured nothing",
            f"run it by hand on {way.server} and {way.client} and look at its output",
            about=way.words,
        )
    ends = {"client": way.client, "server": way.server}
    series.append({**ends, "test": tried.test, "message_size_bytes": tried.message_size_bytes, **measured})
    return None


def _unmeasured(way: Way, measurement: Measurement) -> Finding | None:
    """Return that a run is missing; none if it is known already why. What nobody measured has not passed."""
    if way.blocked:
        return None
    return Finding(
        "unmeasured",
        f"{way.words}: there is no result of {measurement['test']} of {measurement['message_size_bytes']} bytes",
        "run the gate again (ansible-playbook playbooks/verify.yml) and look at its output",
        about=way.words,
    )


def _exchange_check(way: Way, found: Direction, finding: Finding | None, size: int | None) -> Check:
    check = Check("exchange", "skipped", client=way.client, server=way.server, note=_NOT_MEASURED)
    if finding:
        return replace(
            check,
            result="fail",
            message_size_bytes=size,
            measured=finding.code,
            threshold="every run ends",
            note=None,
            finding=finding,
        )
    if found.passed:
        count = len(found.series)
        return replace(check, result="pass", measured=count, threshold=count, unit="runs", note=None)
    return check


_NOT_MEASURED = "not measured, because of what failed before"


def _latency_checks(way: Way, wanted: Sequence[Measurement], series: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    transport = way.pair["transport"]
    test = LATENCY_TESTS[transport]
    points = {point["message_size_bytes"]: point for point in series if point["test"] == test}
    limits = {name: limit(way.settings, transport, f"{name}_max_usec") for name in LATENCY_METRICS}
    finding = _latency_finding(way, points.values(), limits)
    for measurement in wanted:
        if measurement["test"] == test:
            size = measurement["message_size_bytes"]
            for name, most in limits.items():
                yield _latency_check(way, name, size, most=most, point=points.get(size), finding=finding)


def _latency_check(
    way: Way, name: str, size: int, *, most: float, point: Mapping[str, Any] | None, finding: Finding | None
) -> Check:
    value = None if point is None else point[LATENCY_METRICS[name]]
    bad = value is not None and value > most > 0
    note: str | None = None
    if point is None:
        note = _NOT_MEASURED
    elif value is None:
        note = "not printed: this perftest is too old for it" if way.pair["transport"] == "roce" else "not measured"
    elif not most:
        note = f"not judged: fabric_gate_{way.pair['transport']}_{name}_max_usec is 0"
    return Check(
        name,
        "fail" if bad else "skipped" if note else "pass",
        client=way.client,
        server=way.server,
        message_size_bytes=size,
        measured=value,
        threshold=most,
        unit="usec",
        note=note,
        finding=finding if bad else None,
    )


def _latency_finding(way: Way, points: Any, limits: Mapping[str, float]) -> Finding | None:  # noqa: ANN401
    """Return what is said about latency: the size that misses its limit by most; jitter if only p99 does."""
    for name, most in limits.items():
        metric = LATENCY_METRICS[name]
        late = [point for point in points if point[metric] is not None and point[metric] > most > 0]
        if late:
            worst = max(late, key=lambda point: float(point[metric]))
            jitter = name == "latency_p99"
            return Finding(
                "latency_high",
                f"{way.words}: {'99 % of' if jitter else 'typical'} latency of {worst['message_size_bytes']} bytes is "
                f"{'below ' if jitter else ''}{worst[metric]:.1f} usec, allowed are {most:g} usec"
                + (f"; the typical one is good ({_usec(worst['latency_typical_usec'])}): jitter" if jitter else ""),
                _JITTER if jitter else _LATE,
                about=way.words,
            )
    return None


_JITTER = (
    "switch power saving off and spread interrupts: 'cpupower idle-set -D 0' (C-states), 'cpupower frequency-set -g "
    "performance', 'grep . /proc/interrupts | grep -i irdma' and irqbalance; let nothing else run meanwhile"
)
_LATE = (
    "look at what else uses the link and the CPU, at interrupt coalescing ('ethtool -c IF'), and at 'cpupower "
    "frequency-info' on both nodes; compare with the other direction"
)


def _usec(value: float | None) -> str:
    return "not printed" if value is None else f"{value:.1f} usec"


def _bandwidth_check(way: Way, wanted: Sequence[Measurement], series: Sequence[Mapping[str, Any]]) -> Check:
    """Return the check of the largest size. Without a ceiling there is nothing to judge it against but its past."""
    test = BANDWIDTH_TESTS[way.pair["transport"]]
    size = max(run["message_size_bytes"] for run in wanted if run["test"] == test)
    point = next((p for p in series if (p["test"], p["message_size_bytes"]) == (test, size)), None)
    percent = limit(way.settings, way.pair["transport"], "bandwidth_min_percent")
    ceiling = way.ceiling_gbit_per_s
    least = None if ceiling is None else round(ceiling * percent / 100, 3)
    value = point[BANDWIDTH_METRIC] if point else None
    note: str | None = None
    if point is None:
        note = _NOT_MEASURED
    elif value is None:
        note = "the tool printed no average"
    elif least is None:
        note = "the rate of the link is unknown: judged against its baseline only"
    finding = None
    if value is not None and least is not None and value < least:
        finding = _bandwidth_finding(way, size, value, least, percent)
    return Check(
        "bandwidth",
        "fail" if finding else "skipped" if note else "pass",
        client=way.client,
        server=way.server,
        message_size_bytes=size,
        measured=value,
        threshold=least,
        ceiling=ceiling,
        unit="Gb/s",
        note=note,
        finding=finding,
    )


def _bandwidth_finding(way: Way, size: int, value: float, least: float, percent: float) -> Finding:
    because = _because(way.reasons)
    return Finding(
        "bandwidth_low",
        f"{way.words}: {value:.1f} Gb/s with messages of {size} bytes, wanted are {least:.1f} ({percent:g} % of "
        f"{way.ceiling_gbit_per_s:.1f} Gb/s, set by {way.limited_by})" + (f"; {because}" if because else ""),
        "put right what explains it, then run the gate again"
        if because
        else "look for drops and pauses ('ethtool -S IF | grep -iE \"err|drop|discard|pause\"') on both nodes, for "
        "other traffic on the link, and at the CPU ('cpupower frequency-info', 'mpstat -P ALL 1')",
        about=way.words,
    )


def _because(reasons: Sequence[Finding]) -> str:
    if not reasons:
        return ""
    return "explained by " + ", ".join(
        reason.code + (f" on {reason.node}" if reason.node else "") for reason in dict.fromkeys(reasons)
    )


def metrics_of(series: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return the measured values that later runs are compared with."""
    for point in series:
        for metric in METRICS:
            if metric in (LATENCY_METRICS["latency_typical"], BANDWIDTH_METRIC) and point[metric] is not None:
                names = ("client", "server", "test", "message_size_bytes")
                yield {name: point[name] for name in names} | {"metric": metric, "value": point[metric]}
