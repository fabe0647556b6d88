"""Comparison with the baseline: the measurements of the first run that passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tandem.fabric.direction import metrics_of
from tandem.fabric.findings import Check, Finding, Result
from tandem.fabric.outcome import BANDWIDTH_METRIC
from tandem.fabric.settings import Settings, setting

Verdict = Mapping[str, Any]

#: A latency of 1 usec wavers by more than a third of itself: less than this is never a regression.
LEAST_LATENCY_DIFFERENCE_USEC = 0.5
_KEY = ("client", "server", "test", "message_size_bytes", "metric")


def baseline_of(former: Verdict | None, transport: str) -> dict[str, Any] | None:
    """Return the baseline that a former verdict hands on. TCP is not compared with RoCE."""
    if not former or former.get("transport") != transport or not former.get("baseline"):
        return None
    return dict(former["baseline"])


def checks(baseline: Mapping[str, Any], series: Sequence[Mapping[str, Any]], settings: Settings) -> Iterator[Check]:
    """Return a check of each value that both have: bandwidth must not have fallen, latency must not have risen."""
    before = {_key(metric): float(metric["value"]) for metric in baseline["metrics"]}
    compared = [
        (metric, before[_key(metric)], _worse_percent(metric, before[_key(metric)]))
        for metric in metrics_of(series)
        if _key(metric) in before
    ]
    findings: dict[tuple[Any, ...], Finding] = {}
    # The worst first: it is the one whose finding is told for the direction.
    for metric, value, worse in sorted(compared, key=lambda entry: -entry[2]):
        if _result(worse, settings) != "pass":
            findings.setdefault(_group(metric), _finding(metric, value, worse, str(baseline["measured_at"])))
    for metric, value, worse in compared:
        result = _result(worse, settings)
        yield Check(
            "regression",
            result,
            client=metric["client"],
            server=metric["server"],
            message_size_bytes=metric["message_size_bytes"],
            measured=metric["value"],
            threshold=_threshold(metric, value, settings),
            unit=_unit(metric),
            note=f"baseline {value:g} {_unit(metric)}" if result == "pass" else None,
            finding=findings[_group(metric)] if result != "pass" else None,
        )


def next_baseline(
    kept: Mapping[str, Any] | None, series: Sequence[Mapping[str, Any]], measured_at: str, *, passed: bool, reset: bool
) -> dict[str, Any] | None:
    """Return the baseline for later runs.

    The first run that passed stays it, however good later ones are, or a slow decline would never be seen. Sizes that
    are measured for the first time join it. A run that failed changes nothing, whether or not its risk is accepted.
    """
    if not passed:
        return dict(kept) if kept else None
    own = list(metrics_of(series))
    if kept is None or reset:
        return {"measured_at": measured_at, "metrics": own}
    known = {_key(metric) for metric in kept["metrics"]}
    return dict(kept) | {"metrics": [*kept["metrics"], *(metric for metric in own if _key(metric) not in known)]}


def _key(metric: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(metric[name] for name in _KEY)


def _group(metric: Mapping[str, Any]) -> tuple[Any, ...]:
    return metric["client"], metric["server"], metric["metric"]


def _is_bandwidth(metric: Mapping[str, Any]) -> bool:
    return bool(metric["metric"] == BANDWIDTH_METRIC)


def _unit(metric: Mapping[str, Any]) -> str:
    return "Gb/s" if _is_bandwidth(metric) else "usec"


def _worse_percent(metric: Mapping[str, Any], before: float) -> float:
    """Return by how much a value is worse than before, in percent; 0 where it is not."""
    now = float(metric["value"])
    difference = before - now if _is_bandwidth(metric) else now - before
    if before <= 0 or difference <= (0 if _is_bandwidth(metric) else LEAST_LATENCY_DIFFERENCE_USEC):
        return 0.0
    return 100 * difference / before


def _result(worse_percent: float, settings: Settings) -> Result:
    for result in ("fail", "warn"):
        if worse_percent > float(setting(settings, f"regression_{result}_percent")) > 0:
            return result
    return "pass"


def _threshold(metric: Mapping[str, Any], before: float, settings: Settings) -> float | None:
    """Return where the regression begins to fail (or to warn, if failing is switched off)."""
    percents = [float(setting(settings, f"regression_{result}_percent")) for result in ("fail", "warn")]
    percent = next((percent for percent in percents if percent > 0), None)
    if percent is None:
        return None
    if _is_bandwidth(metric):
        return round(before * (1 - percent / 100), 3)
    return round(max(before * (1 + percent / 100), before + LEAST_LATENCY_DIFFERENCE_USEC), 3)


def _finding(metric: Mapping[str, Any], before: float, worse: float, since: str) -> Finding:
    way = f"{metric['client']} to {metric['server']}"
    what, change = ("bandwidth", "fell") if _is_bandwidth(metric) else ("typical latency", "rose")
    return Finding(
        "regression",
        f"{way}: {what} of {metric['test']} with {metric['message_size_bytes']} bytes {change} by {worse:.0f} %, from "
        f"{before:.4g} to {float(metric['value']):.4g} {_unit(metric)}, since the baseline of {since}",
        "look for what changed since: kernel, firmware, BIOS settings, cable, 'lspci -vv' (LnkSta), 'ethtool -a IF', "
        "other load; if this is how it is meant to be, run once with fabric_gate_baseline_reset: true",
        about=f"{way} {metric['metric']}",
    )
