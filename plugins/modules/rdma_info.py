#!/usr/bin/python
"""The RDMA devices of a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_info
short_description: Read the RDMA devices of a node
description:
  - Runs C(ibv_devinfo -v), found on the path, and reads GIDs, their network interfaces and PCIe from sysfs.
  - Output that was cut off is an error. A node without RDMA devices has an empty list.
  - Changes nothing and runs in check mode too.
options:
  sysfs_root:
    description: Where sysfs is mounted.
    type: path
    default: /sys
  timeout_s:
    description: Time limit of C(ibv_devinfo), in seconds.
    type: float
    default: 10
attributes:
  check_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Read the RDMA devices
  rdma_info:
    timeout_s: 5
  register: rdma
"""

RETURN = r"""
devices:
  description:
    - One entry per device with C(name), C(transport), C(firmware_version), C(node_guid), C(vendor_id),
      C(vendor_part_id), C(board_id), C(ports) and C(pcie).
    - Each port has C(port), C(state), C(link_layer), C(max_mtu_bytes), C(active_mtu_bytes), C(rate_gbit_per_s),
      C(netdev), C(gids) and C(roce_v2_ipv4_gid_index). A value that the node does not tell is null.
    - C(pcie) is null for a device that is on no PCI bus. An emulated device (Soft-RoCE, siw) has the one of its
      network interface. C(max_speed_gt_per_s) and C(max_width) are the card's, C(slot_max_speed_gt_per_s) and
      C(slot_max_width) those of the port above it; C(ceiling_gbit_per_s) is that of the slowest link up to the root
      port.
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

from ..module_utils.process import run_command
from ..module_utils.rdma.info import InfoError, read_devices


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "sysfs_root": {"type": "path", "default": "/sys"},
            "timeout_s": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        found = read_devices(run_command, Path(given["sysfs_root"]), given["timeout_s"])
    except InfoError as error:
        module.fail_json(msg=str(error), error_kind=error.error_kind)
    for warning in found.warnings:
        module.warn(warning)
    module.exit_json(changed=False, devices=found.devices)


if __name__ == "__main__":
    main()
