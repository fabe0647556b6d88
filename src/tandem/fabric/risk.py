"""Risks that somebody accepted: the entries of ``fabric_gate_accept_risk``, with nodes, link (optional) and reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]
Pair = Mapping[str, Any]

_KEYS = ("nodes", "link", "reason")


def accept_risk_for(pair: Pair, entries: Sequence[Entry]) -> dict[str, str] | None:
    """Return the reason for which a bad verdict of this pair is put up with, or null. Without link it holds for all."""
    reasons = [str(entry["reason"]).strip() for entry in entries if _names(entry, pair) and _reason(entry)]
    return {"reason": "; ".join(dict.fromkeys(reasons))} if reasons else None


def check_accept_risk(entries: Sequence[Entry], pairs: Sequence[Pair]) -> list[str]:
    """Return what is wrong with the entries: nothing, or a sentence each."""
    return [words for place, entry in enumerate(entries) for words in _faults(place, entry, pairs)]


def _faults(place: int, entry: Entry, pairs: Sequence[Pair]) -> Iterator[str]:
    name = f"fabric_gate_accept_risk[{place}]"
    if unknown := [str(key) for key in entry if key not in _KEYS]:
        yield f"{name} has {', '.join(unknown)}; it can have {', '.join(_KEYS)}"
    if not _reason(entry):
        yield f"{name} has no reason; write why the risk is acceptable, as every report will quote it"
    if not _nodes(entry):
        yield f"{name} names {entry.get('nodes')!r}; nodes takes the names of two different nodes"
    elif not any(_names(entry, pair) for pair in pairs):
        known = ", ".join(f"{' and '.join(pair['nodes'])} on {pair['link']}" for pair in pairs) or "none"
        link = f" on {entry['link']}" if entry.get("link") else ""
        yield f"{name} names {' and '.join(entry['nodes'])}{link}, which is no pair; pairs: {known}"


def _names(entry: Entry, pair: Pair) -> bool:
    return (
        _nodes(entry)
        and set(entry["nodes"]) == set(pair["nodes"])
        and (entry.get("link") or pair["link"]) == pair["link"]
    )


def _nodes(entry: Entry) -> bool:
    nodes = entry.get("nodes")
    return isinstance(nodes, Sequence) and not isinstance(nodes, str) and len(nodes) == len(set(nodes)) == 2


def _reason(entry: Entry) -> bool:
    return bool(str(entry.get("reason") or "").strip())
