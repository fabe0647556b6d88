"""Whether flow control is on."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.rdma.flow_control import pause_failures

GOOD: dict[str, Any] = {
    "autonegotiate": True, "rx": True, "tx": True, "negotiated_rx": True, "negotiated_tx": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("pause", "words"),
    [
        (GOOD, []),
        (GOOD | {"negotiated_rx": None, "negotiated_tx": None}, []),
        (GOOD | {"autonegotiate": False, "negotiated_rx": False, "negotiated_tx": False}, []),
        (None, ["eth1 tells nothing about pause frames"]),
        (GOOD | {"rx": False}, ["eth1 obeys no pause frames (rx off)"]),
        (GOOD | {"tx": False, "rx": False}, ["eth1 obeys no", "eth1 sends no pause frames (tx off)"]),
        (GOOD | {"negotiated_tx": False}, ["eth1 sends no pause frames (tx on, but not negotiated): the other end"]),
    ],
)
def test_both_directions_are_needed(pause: dict[str, Any] | None, words: list[str]) -> None:
    found = pause_failures([{"name": "eth1", "pause": pause}])
    assert len(found) == len(words)
    assert all(failure.startswith(start) for failure, start in zip(found, words, strict=True))


def test_no_interface_has_no_failure() -> None:
    assert pause_failures([]) == []
