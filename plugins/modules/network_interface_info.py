#!/usr/bin/python
"""The network interfaces of a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_interface_info
short_description: Read state, speed, flow control and PCIe of network interfaces
description:
  - Reads sysfs, and C(ethtool -a) for flow control. An interface that is not there is an answer, not an error.
  - Changes nothing and runs in check mode too.
options:
  interfaces:
    description: Names of the interfaces.
    type: list
    elements: str
    required: true
  sysfs_root:
    description: Where sysfs is mounted.
    type: path
    default: /sys
  timeout_s:
    description: Time limit of each C(ethtool), in seconds.
    type: float
    default: 10
attributes:
  check_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Read the interface of the link
  network_interface_info:
    interfaces: [enp194s0np0]
  register: network
"""

RETURN = r"""
interfaces:
  description:
    - One entry per name, in their order, with C(name), C(exists), C(operational_state), C(carrier), C(mtu_bytes),
      C(speed_gbit_per_s), C(driver), C(pause) and C(pcie). A value that the node does not tell is null.
    - C(pause) has C(autonegotiate), C(rx) and C(tx) as they were asked for, and C(negotiated_rx) and C(negotiated_tx)
      as both ends agreed on; null for a device that has no flow control.
    - C(pcie) is as in M(rdma_info).
  type: list
  elements: dict
  returned: success
error_kind:
  description: What went wrong; V(missing_tool), V(permission), V(timeout) or V(unparsable).
  type: str
  returned: failure
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.network.info import InfoError, read_interfaces
from ..module_utils.process import run_command


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "interfaces": {"type": "list", "elements": "str", "required": True},
            "sysfs_root": {"type": "path", "default": "/sys"},
            "timeout_s": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        found = read_interfaces(run_command, given["interfaces"], Path(given["sysfs_root"]), given["timeout_s"])
    except InfoError as error:
        module.fail_json(msg=str(error), error_kind=error.error_kind)
    module.exit_json(changed=False, interfaces=found)


if __name__ == "__main__":
    main()
