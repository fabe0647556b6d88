"""Filters over ``tandem.app``: the release that an app's sources make."""

from __future__ import annotations

from typing import Any

from tandem.app import cli


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"tandem_app_description": cli.describe}
