"""Which of the things found is the root of the others.

Root is what is nearest to the metal among what keeps the link from working; what only makes it slow comes after. A
finding that another one explains is not told again: its check names that other one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tandem.fabric.findings import NO_SIGNAL, PUT_DOWN, Finding
from tandem.fabric.outcome import BANDWIDTH_METRIC

#: From the root up. Missing tools and devices come first: without them the rest cannot be seen at all.
ORDER = (
    "missing_tool",
    "no_device",
    "device_unreadable",
    "link_down",
    "port_down",
    "mtu_mismatch",
    "peer_unreachable",
    "no_gid",
    "wrong_gid",
    "full_frames_lost",
    "permission",
    "memlock",
    "control_port_blocked",
    "peer_not_listening",
    "version_mismatch",
    "rocev2_blocked",
    "large_packets_lost",
    "peer_lost",
    "unreadable_result",
    "pcie_degraded",
    "active_mtu_low",
    "no_flow_control",
    "bandwidth_low",
    "latency_high",
    "regression",
    "unmeasured",
)
#: What makes a link slow without breaking it.
SLOWING = ("mtu_mismatch", "active_mtu_low", "no_flow_control", "pcie_degraded")

_RUNS = frozenset(
    {
        "control_port_blocked",
        "peer_not_listening",
        "rocev2_blocked",
        "large_packets_lost",
        "peer_lost",
    }
)
_BREAKING = ORDER[: ORDER.index("pcie_degraded")]
_QUALITY = frozenset({"bandwidth_low", "latency_high", "regression"})
#: What follows from a cause, at either end.
_EXPLAINS = {
    "missing_tool": _RUNS,
    "no_device": _RUNS,
    "device_unreadable": _RUNS,
    "link_down": _RUNS | _QUALITY | {"port_down", "peer_unreachable", "full_frames_lost", "no_flow_control"},
    "port_down": _RUNS | _QUALITY,
    "mtu_mismatch": {"full_frames_lost", "large_packets_lost"},
    "peer_unreachable": _RUNS | _QUALITY | {"full_frames_lost"},
    "no_gid": {"rocev2_blocked", "wrong_gid"},
    "wrong_gid": {"rocev2_blocked", "wrong_gid"},
    "full_frames_lost": {"large_packets_lost"},
}
#: What follows from it at the same end only; all of these, where the cause names no node.
_EXPLAINS_THERE = {
    "link_down": {"no_gid", "wrong_gid", "active_mtu_low"},
    "port_down": {"no_gid", "active_mtu_low"},
    "mtu_mismatch": {"active_mtu_low"},
    "no_device": {"missing_tool", "device_unreadable"},
}


def rank(findings: Sequence[Finding]) -> tuple[list[Finding], dict[Finding, Finding]]:
    """Return the causes, the root first, and for every finding the cause that stands for it."""
    ordered = sorted(dict.fromkeys(findings), key=_place)
    causes: list[Finding] = []
    stands_for: dict[Finding, Finding] = {}
    for finding in ordered:
        cause = next((cause for cause in causes if _same(cause, finding) or _explains(cause, finding)), finding)
        stands_for[finding] = cause
        if cause is finding:
            causes.append(finding)
    return causes, stands_for


def _place(finding: Finding) -> tuple[int, int]:
    # A node that Ansible lost has a name; a peer that does not answer pings has not.
    if finding.code == "peer_unreachable" and finding.node:
        return (-1, 0)
    return (ORDER.index(finding.code), int(finding.about == NO_SIGNAL))


def _same(cause: Finding, finding: Finding) -> bool:
    """The same thing, seen in another run or from the other end."""
    return (cause.code, cause.node, cause.about) == (finding.code, finding.node, finding.about)


def _explains(cause: Finding, finding: Finding) -> bool:
    if cause.code == finding.code:
        return _repeats(cause, finding)
    there = cause.node in (None, finding.node)
    return (
        finding.code in _EXPLAINS.get(cause.code, ())
        or (there and finding.code in _EXPLAINS_THERE.get(cause.code, ()))
        or _is_gone(cause, finding)
        or _is_slow(cause, finding)
        # Where something is broken, runs are missing for that reason.
        or (finding.code == "unmeasured" and finding.node is None and cause.code in _BREAKING)
    )


def _repeats(cause: Finding, finding: Finding) -> bool:
    """Return whether the same is told again, of no end in particular or of the end that only lost the signal."""
    if cause.code == "link_down":
        return cause.about == PUT_DOWN and finding.about == NO_SIGNAL
    return cause.node is not None and finding.node is None


def _is_gone(cause: Finding, finding: Finding) -> bool:
    """Return whether a node is gone altogether: then nothing else is told of it, and its peer has no signal."""
    if cause.code != "peer_unreachable" or cause.node is None:
        return False
    return finding.node == cause.node or finding.code == "port_down" or finding.about == NO_SIGNAL


def _is_slow(cause: Finding, finding: Finding) -> bool:
    """Return whether bandwidth fell for a reason that is told already."""
    return cause.code in SLOWING and finding.code == "regression" and finding.about.endswith(BANDWIDTH_METRIC)
