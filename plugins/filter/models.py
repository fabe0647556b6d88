"""Filters over ``tandem.models``: where weights lie and who needs them."""

from __future__ import annotations

from typing import Any

from tandem import models


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_model_directory": models.directory,
            "tandem_model_manifest": models.manifest,
            "tandem_model_nodes": models.nodes_of,
            "tandem_models_on": models.models_on,
        }
