"""Checks of the RDMA device of one end: there, active, with the right GID and MTU, and flow control."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tandem.fabric.ends import ROCE_V2, End, Pair, address_of_gid, gid_index, interface_of, is_emulated, port_of
from tandem.fabric.findings import Check, Finding
from tandem.fabric.settings import Settings, setting

_MTUS = (256, 512, 1024, 2048, 4096)
#: What the kernel keeps free for headers when it derives the RDMA MTU from the device's (iboe_get_mtu).
_HEADERS = 96
_MISSING_TOOL = re.compile(r"not installed|not on the path|command not found|No such file", re.IGNORECASE)
_DENIED = re.compile(r"permission|not permitted", re.IGNORECASE)
#: Words of tandem.rdma.device.
_NONE_FOUND = re.compile(r"no RDMA device is on (\S+)", re.IGNORECASE)
_OTHERS_FOUND = re.compile(r"found: (?!none)(\S.*)")


def wanted_active_mtu(mtu_bytes: int, port: Mapping[str, Any]) -> int:
    """Return the RDMA MTU that a link of this MTU gives, within what the device can do."""
    most = min(mtu_bytes - _HEADERS, port.get("max_mtu_bytes") or _MTUS[-1])
    return max((mtu for mtu in _MTUS if mtu <= most), default=_MTUS[0])


def rdma_checks(pair: Pair, node: str, end: End, settings: Settings) -> Iterator[Check]:
    """Return what the RDMA device of one end is like."""
    finding = _device_finding(pair, node, end)
    device, port = end.get("device"), port_of(end)
    if finding or device is None or port is None:
        yield Check("rdma_device", "fail", node, finding=finding)
        for name in ("port_state", "gid", "active_mtu", "flow_control"):
            yield Check(name, "skipped", node, note="there is no RDMA device to look at")
    else:
        yield Check("rdma_device", "pass", node, measured=device["name"])
        yield _port_check(node, end, port)
        yield gid_check(pair, node, end, port)
        yield _active_mtu_check(pair, node, end, port)
        yield flow_control_check(node, end, settings)


def _device_finding(pair: Pair, node: str, end: End) -> Finding | None:
    name = interface_of(end).get("name", "the link's interface")
    device, port, error = end.get("device"), port_of(end), str(end.get("rdma_error") or "").strip().rstrip(".")
    found = (
        "check that the card is seen ('lspci -nn | grep -i ethernet') and its RDMA driver loaded ('rdma link show', "
        f"'dmesg | grep -iE \"irdma|infiniband\"'), and run role rdma; a card without RDMA needs transport: tcp on "
        f"{pair['link']}"
    )
    if device is not None and port is not None:
        if port.get("netdev") not in (None, name):
            words = f"{node}: RDMA device {device['name']} is on {port['netdev']}, but {pair['link']} is on {name}"
            return Finding("no_device", words, _other_interface(pair, node), node)
        if port.get("link_layer") not in (None, "Ethernet"):
            words = f"{node}: {device['name']} has link layer {port['link_layer']}, which carries no RoCE"
            return Finding("no_device", words, "set the port to Ethernet (mlxconfig for ConnectX cards)", node)
        return None
    if not error or _NONE_FOUND.search(error):
        others = _OTHERS_FOUND.search(error)
        words = f"{node}: no RDMA device is on {name}" + (f"; there are {others[1]}" if others else "")
        return Finding("no_device", words, _other_interface(pair, node) if others else found, node)
    if end.get("rdma_error_kind") == "missing_tool" or _MISSING_TOOL.search(error):
        words, remedy = (
            f"{node}: the RDMA devices cannot be read: {error}",
            f"install the tools of rdma-core on {node} (role rdma does: packages ibverbs-utils or libibverbs-utils)",
        )
        return Finding("missing_tool", words, remedy, node)
    code = "permission" if end.get("rdma_error_kind") == "permission" or _DENIED.search(error) else "device_unreadable"
    remedy = f"run 'ibv_devinfo -v' and 'rdma link show' on {node} and look at 'dmesg | tail'"
    return Finding(code, f"{node}: the RDMA devices cannot be read: {error}", remedy, node)


def _other_interface(pair: Pair, node: str) -> str:
    return (
        f"compare 'rdma link show' and 'ip -br address' on {node}: point the end of {node} in link_links at the "
        f"interface of the card with RDMA, or create the device on this one (role rdma); {pair['link']} can also have "
        "transport: tcp"
    )


def _port_check(node: str, end: End, port: Mapping[str, Any]) -> Check:
    state, device = port.get("state"), end["device"]["name"]
    if state == "ACTIVE":
        return Check("port_state", "pass", node, measured=state, threshold="ACTIVE")
    finding = Finding(
        "port_down",
        f"{node}: port {port['port']} of {device} is {state}, not ACTIVE",
        f"look at 'rdma link show' and 'ip -d link show {interface_of(end).get('name', '')}' on {node}; if the "
        f"interface is up, reload its driver or look at 'dmesg | grep -i {device}'",
        node,
    )
    return Check("port_state", "fail", node, measured=state, threshold="ACTIVE", finding=finding)


def gid_check(pair: Pair, node: str, end: End, port: Mapping[str, Any]) -> Check:
    """Return whether the GID that will be used is of type RoCE v2 and of the link's address."""
    device, address = end["device"]["name"], pair["addresses"][node]
    used, pinned = gid_index(end, address), end.get("gid_index_pinned")
    gids = {gid["index"]: gid for gid in port["gids"]}
    wanted = f"{address} ({ROCE_V2})"
    own = [gid["index"] for gid in gids.values() if address_of_gid(gid["gid"]) == address]
    good = sorted(index for index in own if gids[index]["type"] == ROCE_V2)
    listing = ", ".join(f"{index} {_gid_name(gid)}" for index, gid in sorted(gids.items())) or "none"
    if used in good:
        note = "pinned by rdma_gid_index" if pinned is not None else None
        return Check("gid", "pass", node, measured=f"{used}: {_gid_name(gids[used])}", threshold=wanted, note=note)
    remedy = (
        f"give {interface_of(end).get('name', 'the interface')} the address {address} ('ip -br address' on {node}; "
        "role link does), and look at 'rdma link show' and 'ibv_devinfo -v'"
    )
    if pinned is not None:
        better = f"set it to {good[0]}" if good else remedy
        remedy = f"remove rdma_gid_index of {node}, so that the GID is looked up; else {better}"
        what = f"is {_gid_name(gids[used])}" if used in gids else "does not exist"
        words = f"{node}: rdma_gid_index {used} of {device} {what}; {pair['link']} needs {wanted}; GIDs: {listing}"
        return _gid_failed(Finding("wrong_gid", words, remedy, node), f"{used}", wanted)
    same = [gid for gid in gids.values() if address_of_gid(gid["gid"]) == address]
    if same:
        words = f"{node}: {device} has {address} as {same[0]['type']} only, not as {ROCE_V2}; GIDs: {listing}"
        remedy = (
            "set the card to RoCE v2 ('devlink dev param', 'cma_roce_mode' or the maker's tool; role rdma for E810)"
        )
        return _gid_failed(Finding("wrong_gid", words, remedy, node), str(same[0]["type"]), wanted)
    if used is not None and used in gids:
        words = (
            f"{node}: the RoCE v2 GID of {device} is that of another address: {used} {_gid_name(gids[used])}, "
            f"but {pair['link']} has {address}"
        )
        return _gid_failed(Finding("wrong_gid", words, remedy, node), f"{used}: {_gid_name(gids[used])}", wanted)
    words = f"{node}: {device} has no RoCE v2 GID of {address}; GIDs: {listing}"
    return _gid_failed(Finding("no_gid", words, remedy, node), None, wanted)


def _gid_failed(finding: Finding, measured: str | None, wanted: str) -> Check:
    return Check("gid", "fail", finding.node, measured=measured, threshold=wanted, finding=finding)


def _active_mtu_check(pair: Pair, node: str, end: End, port: Mapping[str, Any]) -> Check:
    active, wanted = port.get("active_mtu_bytes"), wanted_active_mtu(pair["mtu_bytes"], port)
    device = end["device"]["name"]
    if active is not None and active >= wanted:
        return Check("active_mtu", "pass", node, measured=active, threshold=wanted, unit="bytes")
    name = interface_of(end).get("name", "")
    have = interface_of(end).get("mtu_bytes")
    if active is None:
        finding = Finding(
            "unmeasured",
            f"{node}: {device} does not tell its active MTU; {wanted} bytes are wanted",
            f"look at active_mtu in 'ibv_devinfo -v -d {device}' on {node}",
            node,
        )
    else:
        finding = Finding(
            "active_mtu_low",
            f"{node}: active MTU of {device} is {active}, not {wanted} bytes; MTU of {name} is {have}, of "
            f"{pair['link']} {pair['mtu_bytes']}",
            f"set the MTU of {name} to {pair['mtu_bytes']} ('ip -d link show {name}'); if it is so already, set the "
            f"interface down and up once, as the device takes its MTU over then",
            node,
        )
    return Check("active_mtu", "fail", node, measured=active, threshold=wanted, unit="bytes", finding=finding)


def flow_control_check(node: str, end: End, settings: Settings) -> Check:
    """Return whether pause frames are sent and obeyed: without them the card slows itself down, or drops."""
    interface = interface_of(end)
    name, pause = interface.get("name", "the interface"), interface.get("pause")
    measured = _pause_words(pause)
    if is_emulated(end):
        return Check("flow_control", "skipped", node, measured=measured, note="the RDMA device is emulated: not needed")
    if not setting(settings, "flow_control_required"):
        words = "not required by fabric_gate_flow_control_required"
        return Check("flow_control", "skipped", node, measured=measured, note=words)
    remedy = (
        f"run 'ethtool -A {name} rx on tx on' on {node} and on the other end, and look at 'ethtool -a {name}'; role "
        "rdma makes it last (NetworkManager's ethtool.pause-rx and pause-tx)"
    )
    if not pause:
        words = f"{node}: {name} does not tell whether flow control is on, which RoCE needs"
        remedy = (
            f"look at 'ethtool -a {name}' on {node}; where flow control is set elsewhere (PFC on a switch), set "
            "fabric_gate_flow_control_required: false"
        )
    elif off := [way for way in ("rx", "tx") if not pause.get(way)]:
        words = f"{node}: flow control of {name} is off ({' and '.join(off)}); RoCE needs rx and tx on"
    elif pause.get("autonegotiate") and (
        off := [way for way in ("rx", "tx") if pause.get(f"negotiated_{way}") is False]
    ):
        words = (
            f"{node}: flow control of {name} is on but was not negotiated ({' and '.join(off)}): the other end does "
            "not offer it"
        )
    else:
        return Check("flow_control", "pass", node, measured=measured, threshold="rx on, tx on")
    return Check(
        "flow_control",
        "fail",
        node,
        measured=measured,
        threshold="rx on, tx on",
        finding=Finding("no_flow_control", words, remedy, node),
    )


def _pause_words(pause: Mapping[str, Any] | None) -> str | None:
    if not pause:
        return None
    words = []
    for way in ("rx", "tx"):
        lost = pause.get(way) and pause.get("autonegotiate") and pause.get(f"negotiated_{way}") is False
        words.append(f"{way} {'on' if pause.get(way) else 'off'}{', not negotiated' if lost else ''}")
    return ", ".join(words)


def _gid_name(gid: Mapping[str, Any]) -> str:
    return f"{address_of_gid(gid['gid']) or gid['gid']} ({gid['type']})"
