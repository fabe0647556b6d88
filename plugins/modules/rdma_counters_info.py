#!/usr/bin/python
"""The counters of an RDMA port."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_counters_info
short_description: Read the counters of an RDMA port
description:
  - Reads C(ports/N/hw_counters) and C(ports/N/counters) from sysfs. Read before and after a request, they prove that it
    went over RDMA.
  - Changes nothing and runs in check mode too.
options:
  device:
    description: Name of the RDMA device (see M(rdma_info)).
    type: str
    required: true
  port:
    description: Port of the device.
    type: int
    default: 1
  sysfs_root:
    description: Where sysfs is mounted.
    type: path
    default: /sys
attributes:
  check_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Read what went over RDMA so far
  rdma_counters_info:
    device: rocep194s0
  register: counters
"""

RETURN = r"""
counters:
  description: Every counter of the port by its name.
  type: dict
  returned: success
received:
  description:
    - What arrived by RDMA, the sum of those counters that count that in one unit. Null if none of them is known.
    - V(irdma) InRdmaReads, InRdmaSends and InRdmaWrites (older C(iwIn...)); V(rxe) rcvd_pkts; V(bnxt_re)
      rx_roce_only_pkts, older rx_pkts; V(hns) rx_pkt; V(mlx5) port_rcv_packets.
  type: int
  returned: success
sent:
  description: What was sent by RDMA, by the counters that correspond to those of RV(received).
  type: int
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rdma_counters.counters import NoPort, read_counters, received_and_sent


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "device": {"type": "str", "required": True},
            "port": {"type": "int", "default": 1},
            "sysfs_root": {"type": "path", "default": "/sys"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        counters = read_counters(Path(given["sysfs_root"]), given["device"], given["port"])
    except NoPort as error:
        module.fail_json(msg=str(error))
    received, sent = received_and_sent(counters)
    module.exit_json(changed=False, counters=counters, received=received, sent=sent)


if __name__ == "__main__":
    main()
