"""Filters over ``tandem.port_guard``."""

from __future__ import annotations

from typing import Any

from tandem import port_guard


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_port_ranges": port_guard.port_ranges,
            "tandem_port_guard_differences": port_guard.differences,
        }
