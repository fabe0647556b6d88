"""The verdict: a pure function of what was observed of a pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tandem.fabric import causes, regression
from tandem.fabric.direction import Direction, Way, judge_direction
from tandem.fabric.end_checks import end_checks
from tandem.fabric.ends import End, Pair, ceiling, pair_ceiling_gbit_per_s, port_of
from tandem.fabric.findings import Check, Finding
from tandem.fabric.path import is_lost, mtu_checks, ping_checks
from tandem.fabric.settings import Settings, measurements, time_limit_s

SCHEMA_VERSION = 1
_LARGEST_RDMA_MTU = 4096


def verdict(  # noqa: PLR0917  Jinja hands arguments on by their place as well
    pair: Pair,
    ends: Mapping[str, End | None],
    pings: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    settings: Settings,
    former: Mapping[str, Any] | None = None,
    accepted: Mapping[str, Any] | None = None,
    measured_at: str = "",
    duration_s: float = 0.0,
) -> dict[str, Any]:
    """Return the verdict document (``verdict.schema.json``).

    ``runs`` have ``client``, ``server``, ``test``, ``message_size_bytes``, ``client_result`` and ``server_result``,
    the results as registered; ``former`` is the last verdict that was stored, ``accepted`` the accepted risk.
    """
    known = {node: ends.get(node) or {} for node in pair["nodes"]}
    of_ends = list(_end_checks(pair, ends, settings))
    blocked = _any(of_ends, "fail") or any(is_lost(ping) for ping in pings)
    directions = [
        judge_direction(_way(pair, known, ways, of_ends, settings, blocked=blocked), runs)
        for ways in (tuple(pair["nodes"]), tuple(reversed(pair["nodes"])))
    ]
    series = [point for direction in directions for point in direction.series]
    checks = [*of_ends, *_ping_checks(pair, pings, directions), *(c for d in directions for c in d.checks)]
    baseline = regression.baseline_of(former, pair["transport"])
    reset = bool(settings.get("baseline_reset"))
    if baseline and not reset:
        checks += regression.checks(baseline, series, settings)
    outcome = "fail" if _any(checks, "fail") else "warn" if _any(checks, "warn") else "pass"
    told, stands_for = _rank(checks)
    return {
        "schema_version": SCHEMA_VERSION,
        "id": pair["id"],
        "link": pair["link"],
        "transport": pair["transport"],
        "nodes": list(pair["nodes"]),
        "measured_at": measured_at,
        "duration_s": round(float(duration_s), 1),
        "time_limit_s": time_limit_s(measurements(settings, pair["transport"])),
        "verdict": outcome,
        "serving_allowed": outcome != "fail" or bool(accepted),
        "accepted_risk": {"reason": str(accepted["reason"])} if accepted else None,
        "cause": told[0].document() if told else None,
        "causes": [finding.document() for finding in told],
        "ceilings": {node: ceiling(end) for node, end in known.items()},
        "checks": [check.document(stands_for[check.finding].code if check.finding else None) for check in checks],
        "series": series,
        "baseline": regression.next_baseline(
            baseline, series, measured_at, passed=outcome != "fail" and bool(series), reset=reset
        ),
    }


def _end_checks(pair: Pair, ends: Mapping[str, End | None], settings: Settings) -> Iterator[Check]:
    """Return what the facts of both ends say; an end without any could not be reached."""
    known = {}
    for node in pair["nodes"]:
        end = ends.get(node)
        if end and end.get("interface"):
            known[node] = end
            yield from end_checks(pair, node, end, settings)
        else:
            finding = Finding(
                "peer_unreachable",
                f"{node} could not be looked at: Ansible did not reach it, or reading its interface failed",
                f"check that {node} runs and answers ssh ('ansible -m ping {node}'), then run the gate again",
                node,
            )
            yield Check("link_up", "fail", node, threshold="up", finding=finding)
    yield from mtu_checks(pair, known)


def _ping_checks(pair: Pair, pings: Sequence[Mapping[str, Any]], directions: Sequence[Direction]) -> Iterator[Check]:
    first, second = pair["nodes"]
    for (client, server), direction in zip(((first, second), (second, first)), directions, strict=True):
        yield from ping_checks(pair, client, server, pings, measured=bool(direction.series))


def _way(
    pair: Pair,
    ends: Mapping[str, End],
    ways: Sequence[str],
    checks: Sequence[Check],
    settings: Settings,
    *,
    blocked: bool,
) -> Way:
    slowing = {check.finding for check in checks if check.finding and check.finding.code in causes.SLOWING}
    most = pair_ceiling_gbit_per_s(ends)
    return Way(
        pair=pair,
        client=ways[0],
        server=ways[1],
        settings=settings,
        packet_bytes=_packet_bytes(pair, ends),
        ceiling_gbit_per_s=most,
        limited_by=_limited_by(ends, most),
        reasons=sorted(slowing, key=lambda finding: (causes.ORDER.index(finding.code), finding.node or "")),
        blocked=blocked,
    )


def _packet_bytes(pair: Pair, ends: Mapping[str, End]) -> int:
    """Return what one packet holds: over RDMA the lesser active MTU, which both ends then use."""
    if pair["transport"] != "roce":
        return int(pair["mtu_bytes"])
    ports = [port_of(end) or {} for end in ends.values()]
    return min((port["active_mtu_bytes"] for port in ports if port.get("active_mtu_bytes")), default=_LARGEST_RDMA_MTU)


def _limited_by(ends: Mapping[str, End], most: float | None) -> str:
    for node, end in ends.items():
        limit = ceiling(end)
        if most is not None and limit["pcie_gbit_per_s"] == most:
            return f"PCIe of {node}"
    return "the link"


def _rank(checks: Sequence[Check]) -> tuple[list[Finding], dict[Finding, Finding]]:
    """Return the causes, those of failures before those of warnings, and what stands for each finding."""
    told: list[Finding] = []
    stands_for: dict[Finding, Finding] = {}
    for result in ("fail", "warn"):
        findings = [check.finding for check in checks if check.finding and check.result == result]
        found, explained = causes.rank([finding for finding in findings if finding not in stands_for])
        told += found
        stands_for |= explained
    return told, stands_for


def _any(checks: Sequence[Check], result: str) -> bool:
    return any(check.result == result for check in checks)
