"""Proof in use: did the RDMA counters of every node rise while a model answered?

The counters are results of the module rdma_counters_info before and after a request: ``{"counters": {name: number},
"received": number|null, "sent": number|null}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Counters = Mapping[str, Any]

#: More than this must have come and gone. Connection managers and their keep-alives send a handful of packets by
#: themselves; one token alone makes two all-reduces in each layer.
FLOOR = 8
_WAYS = ("sent", "received")


def rdma_proof(
    transport: str, before: Mapping[str, Counters], after: Mapping[str, Counters], nodes: Sequence[str]
) -> dict[str, Any]:
    """Return whether the traffic between these nodes went over RDMA: ``proven`` is null where nobody can tell."""
    if transport == "tcp":
        return _proof(transport, None, "the traffic went over TCP: this link has no RDMA", {})
    increases = {node: _increase(before.get(node) or {}, after.get(node) or {}) for node in nodes}
    unknown = [node for node in nodes if any(increases[node][way] is None for way in _WAYS)]
    still = [
        node for node in nodes if any((value := increases[node][way]) is not None and value <= FLOOR for way in _WAYS)
    ]
    if still:
        return _proof(transport, False, _went_over_tcp(still, increases), increases)
    if unknown:
        why = "; ".join(f"{node}: {_unknown_because(before.get(node), after.get(node))}" for node in unknown)
        return _proof(transport, None, f"cannot tell whether the traffic went over RDMA: {why}", increases)
    if not nodes:
        return _proof(transport, None, "cannot tell: no node was named", increases)
    told = ", ".join(
        f"{node} sent {grown['sent']} and received {grown['received']}" for node, grown in increases.items()
    )
    return _proof(transport, True, f"the traffic went over RDMA: {told} packets", increases)


def _proof(
    transport: str, proven: bool | None, message: str, increases: Mapping[str, Mapping[str, int | None]]
) -> dict[str, Any]:
    return {"transport": transport, "proven": proven, "message": message, "nodes": dict(increases)}


def _increase(before: Counters, after: Counters) -> dict[str, int | None]:
    went_back = _went_back(before, after)
    return {way: None if went_back else _difference(before.get(way), after.get(way)) for way in _WAYS}


def _went_back(before: Counters, after: Counters) -> bool:
    """Return whether the device was made anew in between: its counters began again."""
    return any(before.get(way) is not None and after.get(way) is not None and after[way] < before[way] for way in _WAYS)


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else int(after) - int(before)


def _unknown_because(before: Counters | None, after: Counters | None) -> str:
    if not before or not after:
        return "its counters were not read"
    if _went_back(before, after):
        return "its counters began again, so the device was made anew meanwhile; ask the model again"
    return f"no counter of RDMA traffic is known among {', '.join(sorted(after.get('counters') or {})) or 'none'}"


def _went_over_tcp(still: Sequence[str], increases: Mapping[str, Mapping[str, int | None]]) -> str:
    told = ", ".join(
        f"{node} ({', '.join(f'{way} {increases[node][way]}' for way in _WAYS if increases[node][way] is not None)})"
        for node in still
    )
    return (
        f"traffic went over TCP: the RDMA counters rose by no more than {FLOOR} during the request on {told}. Look for "
        "'NET/IB' in the log of the ranks with NCCL_DEBUG=INFO, and check NCCL_NET, NCCL_IB_HCA and NCCL_IB_DISABLE"
    )
