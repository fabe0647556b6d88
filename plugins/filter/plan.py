"""Filters over ``tandem.plan``: what engines left out, and whether they can work."""

from __future__ import annotations

from typing import Any

from tandem.plan import stage


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"tandem_filled_engines": stage.filled_engines, "tandem_plan_reports": stage.reports}
