"""Is link-level flow control on? ``interfaces`` is what the module network_interface_info returned on the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DIRECTIONS = {"rx": "obeys", "tx": "sends"}


def pause_failures(interfaces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what keeps these interfaces from pausing in both directions: nothing, or a sentence each."""
    found = []
    for interface in interfaces:
        pause = interface.get("pause")
        if not pause:
            found.append(f"{interface['name']} tells nothing about pause frames")
            continue
        for direction, verb in DIRECTIONS.items():
            if not pause[direction]:
                found.append(f"{interface['name']} {verb} no pause frames ({direction} off)")
            elif pause["autonegotiate"] and pause.get(f"negotiated_{direction}") is False:
                found.append(
                    f"{interface['name']} {verb} no pause frames ({direction} on, but not negotiated): the other end "
                    "does not offer them"
                )
    return found
