"""The way between the two ends: MTU as set at both, and whether frames of that size arrive."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tandem.fabric.ends import End, Pair, interface_of
from tandem.fabric.findings import Check, Finding

Ping = Mapping[str, Any]

_LOSS = re.compile(r"([\d.]+)% packet loss")
_UNREACHABLE = re.compile(r"unreachable", re.IGNORECASE)


def mtu_checks(pair: Pair, ends: Mapping[str, End]) -> Iterator[Check]:
    """Return whether both interfaces have the link's MTU."""
    wanted = pair["mtu_bytes"]
    have = {node: interface_of(end).get("mtu_bytes") for node, end in ends.items() if interface_of(end).get("exists")}
    known = {node: int(mtu) for node, mtu in have.items() if mtu is not None}
    wrong = [node for node, mtu in known.items() if mtu < wanted]
    if not wrong and len(set(known.values())) > 1:
        # Both are large enough, but the larger one sends frames that the other may drop.
        wrong = [node for node, mtu in known.items() if mtu != wanted][-1:]
    finding = _mtu_finding(pair, ends, known, wrong) if wrong else None
    for node in pair["nodes"]:
        mtu = known.get(node)
        if mtu is None:
            yield Check("mtu_end_to_end", "skipped", node, threshold=wanted, unit="bytes", note="MTU is not known")
        elif node in wrong:
            yield Check("mtu_end_to_end", "fail", node, measured=mtu, threshold=wanted, unit="bytes", finding=finding)
        else:
            yield Check("mtu_end_to_end", "pass", node, measured=mtu, threshold=wanted, unit="bytes")


def ping_checks(pair: Pair, client: str, server: str, pings: Sequence[Ping], *, measured: bool) -> Iterator[Check]:
    """Return whether full frames arrive from one node at the other; ``measured``: a run between them passed."""
    sent = [ping for ping in pings if (ping["client"], ping["server"]) == (client, server) and "rc" in ping]
    full = [ping for ping in sent if ping["frame_bytes"] >= pair["mtu_bytes"]]
    small = [ping for ping in sent if ping["frame_bytes"] < pair["mtu_bytes"]]
    if not full:
        note = "no full frame was sent"
        yield Check("mtu_end_to_end", "skipped", client=client, server=server, threshold=0, unit="% lost", note=note)
    for ping in full:
        lost = _lost_percent(ping)
        finding = None
        if lost > 0:
            silent = bool(small) and all(_lost_percent(other) == 100 for other in small)
            finding = _ping_finding(pair, ping, lost, silent=silent, measured=measured)
        yield Check(
            "mtu_end_to_end",
            "pass" if not lost else "fail" if lost == 100 else "warn",
            client=client,
            server=server,
            message_size_bytes=ping["frame_bytes"],
            measured=lost,
            threshold=0,
            unit="% lost",
            finding=finding,
        )


def is_lost(ping: Ping) -> bool:
    """Return whether no frame of a ping was answered."""
    return "rc" in ping and _lost_percent(ping) == 100


def _mtu_finding(pair: Pair, ends: Mapping[str, End], known: Mapping[str, int], wrong: Sequence[str]) -> Finding:
    names = {node: interface_of(end).get("name", "the interface") for node, end in ends.items()}
    found = " and ".join(f"MTU {known[node]} of {names[node]} on {node}" for node in known)
    differ = "the ends differ" if len(set(known.values())) > 1 else f"{' and '.join(wrong)} differ from it"
    where = "; ".join(f"'ip -d link show {names[node]}' on {node}" for node in wrong)
    return Finding(
        "mtu_mismatch",
        f"{pair['link']} wants MTU {pair['mtu_bytes']}, found {found}: {differ}",
        f"set it on {' and '.join(wrong)}: 'nmcli connection modify {pair['link']} 802-3-ethernet.mtu "
        f"{pair['mtu_bytes']}' and 'nmcli connection up {pair['link']}' (role link does both); check with {where}",
        wrong[0] if len(wrong) == 1 else None,
    )


def _ping_finding(pair: Pair, ping: Ping, lost: float, *, silent: bool, measured: bool) -> Finding:
    client, server = ping["client"], ping["server"]
    way = f"{client} to {server} ({pair['addresses'][server]})"
    frames = f"frames of {ping['frame_bytes']} bytes"
    if lost < 100:
        return Finding(
            "full_frames_lost",
            f"{way}: {lost:g} % of the {frames} are lost",
            f"look for errors and drops ('ethtool -S IF | grep -iE \"err|drop|discard\"') on {client} and {server}, "
            "and reseat or change the cable",
            about="some",
        )
    said = f"; ping says: {_said(ping)}"
    if silent and measured:
        return Finding(
            "full_frames_lost",
            f"{way}: no ping is answered although measurements pass, so {frames} cannot be tried{said}",
            f"allow ICMP echo on {pair['link']} on {server} ('nft list ruleset')",
        )
    if silent:
        return Finding(
            "peer_unreachable",
            f"{way}: no ping is answered, neither small nor full frames{said}",
            f"compare 'ip -br address' on both nodes, look at 'ip neighbour' on {client}, and check that the cable "
            f"joins these two ports and that nothing drops ICMP ('nft list ruleset' on {server})",
        )
    return Finding(
        "full_frames_lost",
        f"{way}: {frames} do not arrive although small ones do{said}",
        f"something on the way passes less than MTU {pair['mtu_bytes']}: look at 'ip -d link' and 'ip route get "
        f"{pair['addresses'][server]}' on both nodes, 'nft list ruleset', and the MTU of a switch between them",
    )


def _lost_percent(ping: Ping) -> float:
    """Return the share of frames without an answer, in percent. A ping that lost some fails, too."""
    if found := _LOSS.search(str(ping.get("stdout") or "")):
        return float(found[1])
    return 0.0 if ping["rc"] == 0 else 100.0


def _said(ping: Ping) -> str:
    """Return what ping said about it: its complaints, else its count."""
    lines = [line.strip() for line in f"{ping.get('stderr') or ''}\n{ping.get('stdout') or ''}".splitlines()]
    told = [line for line in lines if line.startswith("ping:") or _UNREACHABLE.search(line)]
    counts = [line for line in lines if "packets transmitted" in line]
    return " / ".join(list(dict.fromkeys(told))[:2] + counts) or f"nothing (status {ping['rc']})"
