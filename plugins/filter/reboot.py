"""Filters over ``tandem.reboot``: who needs a reboot, and what is told of it."""

from __future__ import annotations

from typing import Any

from tandem import reboot


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_reboot_reasons": reboot.reboot_reasons,
            "tandem_reboot_report": reboot.reboot_report,
            "tandem_reboot_command": reboot.reboot_command,
        }
