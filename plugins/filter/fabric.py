"""Filters over ``tandem.fabric``: what the gate measures and what that means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from tandem.errors import TandemError
from tandem.fabric import ends, judge, proof, report, risk, schedule, settings

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
            "tandem_fabric_pairs": _explained(schedule.pairs),
            "tandem_fabric_rounds": _explained(schedule.rounds),
            "tandem_fabric_measurements": _explained(settings.measurements),
            "tandem_fabric_time_limit": _explained(settings.time_limit_s),
            "tandem_fabric_ceiling": _explained(ends.pair_ceiling_gbit_per_s),
            "tandem_fabric_gid_index": _explained(ends.gid_index),
            "tandem_fabric_verdict": _explained(judge.verdict),
            "tandem_fabric_summary": _explained(report.summary_lines),
            "tandem_fabric_proof": _explained(proof.rdma_proof),
            "tandem_fabric_accepted": _explained(risk.accept_risk_for),
            "tandem_fabric_accept_risk_errors": _explained(risk.check_accept_risk),
        }
