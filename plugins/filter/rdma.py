"""Filters over ``tandem.rdma``: the device of a link, its faults, and the environment of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from tandem.errors import TandemError
from tandem.rdma import device, environment, flow_control, soft_roce

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
            "tandem_rdma_device": _explained(device.device_of),
            "tandem_rdma_lookup": device.lookup,
            "tandem_rdma_failures": device.failures,
            "tandem_rdma_pause_failures": flow_control.pause_failures,
            "tandem_rdma_links": _explained(soft_roce.roce_links),
            "tandem_rdma_environment": _explained(environment.nccl_environment),
        }
