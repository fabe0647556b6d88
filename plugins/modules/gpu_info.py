#!/usr/bin/python
"""The AMD GPUs of a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Read the AMD GPUs of a node
description:
  - Reads sysfs (PCI, DRM, and the topology of the kernel's compute driver KFD), which tells architecture, memory and
    driver. Where C(rocminfo) and C(amd-smi) can be run they add the name that the GPU is sold by, and whether programs
    can use it.
  - A tool that is missing or fails is no failure of the module. See RV(tools).
  - Changes nothing and runs in check mode too.
options:
  sysfs_root:
    description: Where sysfs is mounted.
    type: path
    default: /sys
  tools:
    description: Tools to run.
    type: list
    elements: str
    choices: [rocminfo, amd-smi]
    default: [rocminfo, amd-smi]
  command_prefix:
    description: What the tools are run by, such as C(podman run) with an image. Empty runs those of the node.
    type: list
    elements: str
    default: []
  timeout_s:
    description: Time limit of each tool, in seconds.
    type: float
    default: 30
attributes:
  check_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Read the GPUs, from the kernel alone
  gpu_info:
    tools: []
  register: gpu
"""

RETURN = r"""
gpus:
  description:
    - AMD's GPUs, those without a driver too, in the order of their PCI addresses. What nobody tells is null.
    - Each has C(pci_address), C(device_id), C(architecture) (such as V(gfx1151)), C(marketing_name), C(integrated)
      (whether it shares the machine's memory), C(driver), C(driver_version) (the kernel's, for a driver that came with
      it), C(vram_bytes) (memory of its own; of an integrated GPU what the firmware keeps for it), C(gtt_bytes) (what it
      may take of the machine's memory), C(compute_units), C(card), C(render_node), C(kfd_node) and C(seen_by_rocminfo)
      (null if C(rocminfo) did not run).
    - Only the tools know C(marketing_name), but for some server cards.
  type: list
  elements: dict
  returned: success
ttm_pages_limit:
  description: Pages of the machine's memory that GPUs may take in all; null while no driver needs the module C(ttm).
  type: int
  returned: success
rocm_version:
  description: Version of the ROCm that C(amd-smi) came with.
  type: str
  returned: success
tools:
  description:
    - How it went, for C(rocminfo) and C(amd_smi). C(state) is V(ok), V(missing), V(failed) or V(unused), C(message)
      says why.
  type: dict
  returned: success
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpu.info import read_node
from ..module_utils.process import run_command


def main() -> None:
    """Entry point of the module."""
    tools = ["rocminfo", "amd-smi"]
    module = AnsibleModule(
        argument_spec={
            "sysfs_root": {"type": "path", "default": "/sys"},
            "tools": {"type": "list", "elements": "str", "choices": tools, "default": tools},
            "command_prefix": {"type": "list", "elements": "str", "default": []},
            "timeout_s": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    given = module.params
    found = read_node(
        run_command,
        Path(given["sysfs_root"]),
        os.uname().release,
        prefix=given["command_prefix"],
        tools=given["tools"],
        timeout_s=given["timeout_s"],
    )
    for warning in found.pop("warnings"):
        module.warn(warning)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
