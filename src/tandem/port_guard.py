"""The table of nftables that keeps internal ports on links: what it should hold, and what it holds."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_GUARDED = {
    "op": "==",
    "left": {"payload": {"protocol": "tcp", "field": "dport"}},
    "right": "@internal_ports",
}
_FIRST_PACKET = {
    "op": "==",
    "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]},
    "right": "syn",
}
_INTERFACE = {"meta": {"key": "iifname"}}
_SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}


def port_ranges(ports: Sequence[str | int]) -> list[str]:
    """Return ports and ranges in order, adjoining ones joined, as nftables lists them."""
    merged: list[list[int]] = []
    for first, last in sorted(_range(port) for port in ports):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return [str(first) if first == last else f"{first}-{last}" for first, last in merged]


def differences(listing: str, links: Sequence[Mapping[str, str]], ports: Sequence[str | int]) -> list[str]:
    """Compare ``nft -j list table inet tandem`` with what the links and ports ask for, in words."""
    if not listing.strip():
        return ["there is no table inet tandem"]
    entries = json.loads(listing)["nftables"]
    found_ports = [port for entry in entries if "set" in entry for port in _elements(entry["set"])]
    found = []
    if port_ranges(found_ports) != port_ranges(ports):
        found.append(f"it guards the ports {found_ports or 'none'} instead of {port_ranges(ports)}")
    hooks = [(entry["chain"].get("hook"), entry["chain"].get("policy")) for entry in entries if "chain" in entry]
    if hooks != [("input", "accept")]:
        found.append(f"its chains are {hooks}, not one of the hook input with policy accept")
    rules = [_rule(entry["rule"]["expr"]) for entry in entries if "rule" in entry]
    wanted = ["lo: accept", *(f"{link['interface']} from {link['subnet']}: accept" for link in links), "guarded: drop"]
    if rules != wanted:
        found.append(f"its rules are {rules} instead of {wanted}")
    return found


def _range(port: str | int) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", str(port))
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise TandemError(f"port_guard_ports: {port!r} is no port or range of ports; write 6379 or 20000-20099")
    return first, last


def _elements(table_set: Mapping[str, Any]) -> Iterator[str]:
    for element in table_set.get("elem", []):
        yield "-".join(map(str, element["range"])) if isinstance(element, dict) else str(element)


def _rule(expressions: Sequence[Mapping[str, Any]]) -> str:
    """Name a rule by what it matches; one that we would not write is named by its JSON."""
    matches = [expression["match"] for expression in expressions if "match" in expression]
    interface = next((str(match["right"]) for match in matches if match["left"] == _INTERFACE), "")
    sources = [match["right"]["prefix"] for match in matches if match["left"] == _SOURCE]
    verdicts = [key for expression in expressions for key in expression if key in ("accept", "drop")]
    if interface and verdicts == ["accept"] and len(matches) == 1 + len(sources):
        return interface + "".join(f" from {source['addr']}/{source['len']}" for source in sources) + ": accept"
    if verdicts == ["drop"] and matches == [_GUARDED, _FIRST_PACKET]:
        return "guarded: drop"
    return json.dumps(expressions)
