"""Checks of one end: interface and PCIe, and over RoCE what ``rdma_checks`` looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tandem.fabric.ends import End, Pair, ceiling, interface_of, pcie_of, port_of
from tandem.fabric.findings import NO_SIGNAL, PUT_DOWN, Check, Finding, Result
from tandem.fabric.rdma_checks import rdma_checks
from tandem.fabric.settings import Settings, setting

_GENERATIONS = {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}
_UP = ("up", "unknown")


def end_checks(pair: Pair, node: str, end: End, settings: Settings) -> Iterator[Check]:
    """Return what the facts of one end say."""
    yield link_check(pair, node, end)
    if pair["transport"] == "roce":
        yield from rdma_checks(pair, node, end, settings)
    yield pcie_check(node, end, settings)


def link_check(pair: Pair, node: str, end: End) -> Check:
    """Return whether the interface is there and has a signal."""
    interface = interface_of(end)
    name, state, carrier = interface.get("name", "its interface"), interface.get("operational_state"), None
    if not interface.get("exists"):
        finding = Finding(
            "link_down",
            f"{node}: there is no interface {name} for {pair['link']}",
            f"look for the card ('ip -br link', 'lspci -nn | grep -i ethernet') and correct the end of {node} in "
            "link_links",
            node,
            PUT_DOWN,
        )
        return Check("link_up", "fail", node, measured="missing", threshold="up", finding=finding)
    carrier = interface.get("carrier")
    if carrier is not False and state in _UP:
        return Check("link_up", "pass", node, measured=state, threshold="up")
    port = port_of(end)
    beside = f" ({end['device']['name']} port {port['port']} is {port['state']})" if port and end.get("device") else ""
    if carrier is False:
        about, words = NO_SIGNAL, "has no signal"
        remedy = (
            f"check the cable and the transceiver ('ethtool -m {name}', 'ethtool {name}'), and that the other end is up"
        )
    else:
        about, words = PUT_DOWN, "is switched off"
        remedy = f"switch it on: 'nmcli connection up {pair['link']}' or 'ip link set {name} up' on {node}"
    finding = Finding("link_down", f"{node}: {name} {words}, its state is {state}{beside}", remedy, node, about)
    return Check("link_up", "fail", node, measured=state, threshold="up", finding=finding)


def pcie_check(node: str, end: End, settings: Settings) -> Check:
    """Return whether the card's PCIe link is trained as fast and as wide as card and slot can.

    A slot that is slower than the network is no fault: bandwidth is judged against what it lets through.
    """
    pcie = pcie_of(end)
    speed, width = pcie.get("speed_gt_per_s"), pcie.get("width")
    best_speed, best_width = (_best(pcie, name) for name in ("max_speed_gt_per_s", "max_width"))
    if not (speed and width and best_speed and best_width):
        what = "does not tell how its PCIe link is trained" if pcie else "is on no PCI bus"
        return Check("pcie", "skipped", node, note=f"the card {what}")
    trained, possible = pcie_name(speed, width), pcie_name(best_speed, best_width)
    if speed < best_speed or width < best_width:
        have, best = pcie_gbit_per_s(speed, width), pcie_gbit_per_s(best_speed, best_width)
        finding = Finding(
            "pcie_degraded",
            f"{node}: PCIe trained at {trained}: {have:.1f} of {best:.1f} Gb/s; reseat the riser",
            f"power off, reseat the card and its riser, then compare LnkSta with LnkCap in "
            f"'lspci -vv -s {pcie.get('address') or 'ADDRESS'}' on {node}; card and slot can do {possible}, so look at "
            "the slot's speed in the firmware setup too",
            node,
        )
        result: Result = "fail" if setting(settings, "pcie_must_be_full") else "warn"
        return Check("pcie", result, node, measured=trained, threshold=possible, finding=finding)
    ceilings = ceiling(end)
    note = None
    if ceilings["limited_by"] == "pcie" and ceilings["gbit_per_s"] < ceilings["link_gbit_per_s"]:
        note = (
            f"the slot lets {ceilings['gbit_per_s']:.1f} of the link's {ceilings['link_gbit_per_s']:.1f} Gb/s through; "
            "it is trained as it should be, and bandwidth is judged against that"
        )
    return Check("pcie", "pass", node, measured=trained, threshold=possible, note=note)


def _best(pcie: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a speed or a number of lanes
    """Return what card and slot can do together."""
    return min((value for key in (name, f"slot_{name}") if (value := pcie.get(key))), default=None)


def pcie_name(speed_gt_per_s: float, width: int) -> str:
    """Return the usual name of a PCIe link: Gen4 x4."""
    generation = _GENERATIONS.get(float(speed_gt_per_s))
    return f"Gen{generation} x{width}" if generation else f"{speed_gt_per_s:g} GT/s x{width}"


def pcie_gbit_per_s(speed_gt_per_s: float, width: int) -> float:
    """Return what a PCIe link carries in one direction."""
    encoding = 8 / 10 if speed_gt_per_s <= 5 else 128 / 130 if speed_gt_per_s <= 32 else 1.0
    return speed_gt_per_s * width * encoding
