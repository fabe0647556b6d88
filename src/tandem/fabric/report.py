"""A verdict in a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Verdict = Mapping[str, Any]

_WORDS = {"pass": "PASS", "warn": "PASS with warnings", "fail": "FAIL"}


def summary_lines(verdict: Verdict) -> list[str]:
    """Return what a person wants to know. An accepted risk stands in every line: none is quoted without it."""
    risk = verdict["accepted_risk"]
    mark = f" [risk accepted: {risk['reason']}]" if risk else ""
    return [line + mark for line in _lines(verdict)]


def _lines(verdict: Verdict) -> Iterator[str]:
    yield f"{verdict['link']}, {' and '.join(verdict['nodes'])}, {verdict['transport']}: {_WORDS[verdict['verdict']]}"
    if verdict["transport"] == "tcp":
        yield "This link carries TCP, no RDMA."
    for number, cause in enumerate(verdict["causes"]):
        yield f"{'cause' if number == 0 else 'also'} ({cause['code']}): {cause['message']}"
        yield f"  what to do: {cause['remedy']}"
    yield from ceilings(verdict)
    first, second = verdict["nodes"]
    for ends in ((first, second), (second, first)):
        yield from _direction(verdict, *ends)
    yield from _notes(verdict["checks"])
    if verdict["baseline"]:
        yield f"compared with, and kept for later runs: the baseline of {verdict['baseline']['measured_at']}"
    yield (
        f"gate took {verdict['duration_s']:.1f} s; its settings allow at most {verdict['time_limit_s']:g} s per pair "
        f"(measured at {verdict['measured_at']})"
    )
    yield serving(verdict)


def ceilings(verdict: Verdict) -> Iterator[str]:
    """Return what each node's link and slot let through."""
    for node, ceiling in verdict["ceilings"].items():
        link, pcie = (_gbit(ceiling[f"{name}_gbit_per_s"]) for name in ("link", "pcie"))
        yield f"{node}: link {link}, PCIe {pcie}, so at most {_gbit(ceiling['gbit_per_s'])}"


def _direction(verdict: Verdict, client: str, server: str) -> Iterator[str]:
    checks = [check for check in verdict["checks"] if (check["client"], check["server"]) == (client, server)]
    p99 = {check["message_size_bytes"]: check["measured"] for check in checks if check["name"] == "latency_p99"}
    latencies = [
        f"{check['message_size_bytes']} bytes {check['measured']:.1f}"
        + (f" (p99 {p99[check['message_size_bytes']]:.1f})" if p99.get(check["message_size_bytes"]) is not None else "")
        for check in checks
        if check["name"] == "latency_typical" and check["measured"] is not None
    ]
    if latencies:
        yield f"{client} to {server}: latency in usec: {', '.join(latencies)}"
    for check in checks:
        if check["name"] == "bandwidth" and check["measured"] is not None:
            least = (
                "no threshold, as the rate of the link is unknown"
                if check["threshold"] is None
                else f"at least {_gbit(check['threshold'])}, ceiling {_gbit(check['ceiling'])}"
            )
            yield f"{client} to {server}: bandwidth {_gbit(check['measured'])} ({least})"
    if not latencies:
        yield f"{client} to {server}: not measured"


def _notes(checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return what was not judged, and why; once for all sizes."""
    seen: dict[str, None] = {}
    for check in checks:
        if check["note"] and check["name"] != "regression":
            where = check["node"] or f"{check['client']} to {check['server']}"
            seen[f"note: {check['name']} ({where}): {check['note']}"] = None
    yield from seen


def serving(verdict: Verdict) -> str:
    """Return whether this link may serve, and why."""
    if verdict["verdict"] != "fail":
        unused = "; no risk needs to be accepted, remove the entry" if verdict["accepted_risk"] else ""
        return f"serving on this link is allowed{unused}"
    if verdict["serving_allowed"]:
        return "serving on this link is allowed although the gate failed, because the risk is accepted"
    return (
        "serving on this link is refused; put the cause right and run 'ansible-playbook playbooks/verify.yml', or name "
        "the pair and a reason in fabric_gate_accept_risk"
    )


def _gbit(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} Gb/s"
