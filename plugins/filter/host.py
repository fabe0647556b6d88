"""Filters for the roles of the host layer: clocks, units, kernel settings, the journal."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from tandem import clocks, host
from tandem.errors import TandemError


def _bytes(size: str) -> int:
    try:
        return host.size_bytes(size)
    except TandemError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_clock_problems": clocks.skew_problems,
            "tandem_clock_doubts": clocks.unmeasured_pairs,
            "tandem_chrony_problem": clocks.chrony_problem,
            "tandem_size_bytes": _bytes,
            "tandem_unit_differences": host.unit_differences,
            "tandem_sysctl_differences": host.sysctl_differences,
            "tandem_journal_limit_bytes": host.journal_limit_bytes,
        }
