"""Filters over ``tandem.equality``: in what the nodes differ."""

from __future__ import annotations

from typing import Any

from tandem import equality


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"tandem_equality_report": equality.report}
