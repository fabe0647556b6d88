"""Verdicts as one HTML page that needs nothing but itself: no script, no font, no file beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tandem.fabric import curves, plots, report
from tandem.fabric.outcome import BANDWIDTHS, LATENCIES
from tandem.fabric.settings import BANDWIDTH_TESTS, LATENCY_TESTS
from tandem.fabric.words import amount, message_size, printable

Verdict = Mapping[str, Any]
Check = Mapping[str, Any]

_SAID_OF_TESTS = {
    "roce": "Measured over RDMA with perftest: latency by {latency}, half of a round trip; bandwidth by {bandwidth}.",
    "tcp": "This link carries TCP, no RDMA: latency is half of a ping round trip, bandwidth one TCP stream by iperf3.",
}
#: Where the good values lie, by the unit of a measurement.
_RELATIONS = {"usec": "at most ", "Gb/s": "at least "}
_MEASUREMENTS = ("latency_typical", "latency_p99", "bandwidth", "regression")


def render(verdicts: Sequence[Verdict]) -> str:
    """Return the page of some verdicts, one at least."""
    # Whatever a template is given is escaped unless it says that it is markup.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "amount": amount,
        "message_size": message_size,
        "limit": _limit,
        "place": _place,
        "statistic": _statistic,
    }
    shown = [printable(verdict) for verdict in verdicts]
    return environment.get_template("page.html.j2").render(
        pairs=[_pair(f"pair-{number}", verdict) for number, verdict in enumerate(shown, start=1)],
        summary=_summary(shown),
        latencies=LATENCIES,
        bandwidths=BANDWIDTHS,
    )


def _summary(verdicts: Sequence[Verdict]) -> str:
    count = Counter(verdict["verdict"] for verdict in verdicts)
    refused = sum(not verdict["serving_allowed"] for verdict in verdicts)
    accepted = count["fail"] - refused
    parts = [f"{count[result]} {result}" for result in ("pass", "warn", "fail")]
    times = sorted({verdict["measured_at"] for verdict in verdicts})
    return (
        f"{len(verdicts)} pair{'' if len(verdicts) == 1 else 's'}: {', '.join(parts)}; "
        + (f"serving is refused on {refused}; " if refused else "serving is allowed on all; ")
        + (f"the risk is accepted on {accepted}; " if accepted else "")
        + (f"measured at {times[0]}" if len(times) == 1 else f"measured from {times[0]} to {times[-1]}")
    )


def _pair(key: str, verdict: Verdict) -> dict[str, Any]:
    """Return what the page says of a pair."""
    series = verdict["series"]
    latencies = [point for point in series if any(point[metric] is not None for metric in LATENCIES)]
    bandwidths = [point for point in series if any(point[metric] is not None for metric in BANDWIDTHS)]
    return {
        "key": key,
        "verdict": verdict,
        "compared": curves.is_compared(verdict),
        "serving": report.serving(verdict),
        "ways": [f"{client} to {server}" for client, server in curves.ways(verdict)],
        "plots": [
            _plot(verdict, f"{key}-latency", curves.latency(verdict), latencies),
            _plot(verdict, f"{key}-bandwidth", curves.bandwidth(verdict), bandwidths),
        ],
        "tests": _said_of_tests(verdict),
        "ceilings": list(report.ceilings(verdict)),
        "latencies": latencies,
        "bandwidths": bandwidths,
    }


def _plot(verdict: Verdict, key: str, plot: curves.Plot, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    measured = {(point["client"], point["server"]) for point in points}
    return {
        "title": plot.title,
        "svg": None if plot.is_empty else Markup(plots.draw(plot, key)),  # noqa: S704 (texts in it are escaped)
        "missing": [
            f"{client} to {server}" for client, server in curves.ways(verdict) if (client, server) not in measured
        ],
    }


def _said_of_tests(verdict: Verdict) -> str:
    transport = verdict["transport"]
    return _SAID_OF_TESTS[transport].format(latency=LATENCY_TESTS[transport], bandwidth=BANDWIDTH_TESTS[transport])


def _limit(check: Check) -> str:
    """Return the threshold of a check in words."""
    threshold, unit = check["threshold"], check["unit"]
    if check["name"] not in _MEASUREMENTS:
        return _with_unit(threshold, unit)
    # Thresholds of latency are switched off by 0.
    return _RELATIONS.get(unit, "") + _with_unit(threshold, unit) if threshold else "none"


def _with_unit(value: Any, unit: str | None) -> str:  # noqa: ANN401
    words = amount(value)
    return f"{words} {unit}" if words and unit else words


def _place(check: Check) -> str:
    return str(check["node"] or f"{check['client']} to {check['server']}")


def _statistic(metric: str) -> str:
    """Return the head of a column: ``latency_p999_usec`` is ``p99.9``."""
    name = metric.removeprefix("latency_").removeprefix("bandwidth_")
    for unit in ("_usec", "_gbit_per_s"):
        name = name.removesuffix(unit)
    return {"p999": "p99.9", "avg": "average", "message_rate_mpps": "messages (million/s)"}.get(name, name)
