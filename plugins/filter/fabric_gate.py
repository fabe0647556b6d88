"""Filters over ``tandem.fabric.plan``: what role fabric_gate does next, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from tandem.errors import TandemError
from tandem.fabric import plan

if TYPE_CHECKING:
    from collections.abc import Callable


def _explained(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn our error into the one whose message Ansible shows alone."""

    def filter_function(*arguments: object, **options: object) -> object:
        try:
            return function(*arguments, **options)
        except TandemError as error:
            raise AnsibleFilterError(str(error)) from error

    return filter_function


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_fabric_interfaces": _explained(plan.interfaces_of),
            "tandem_fabric_ends": _explained(plan.ends_of),
            "tandem_fabric_pings": plan.pings_of,
            "tandem_fabric_steps": _explained(plan.steps),
            "tandem_fabric_lost": plan.is_lost,
            "tandem_fabric_stored": plan.stored,
            "tandem_fabric_verdicts": _explained(plan.verdicts),
        }
