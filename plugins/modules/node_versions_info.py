#!/usr/bin/python
"""What must be the same on all nodes that work together."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_versions_info
short_description: Read the versions and settings in which nodes that work together should not differ
description:
  - Reads kernel, distribution, packages, kernel arguments, the interfaces of links with driver, firmware and flow
    control, and which release of each program and image is in use.
  - What a node cannot tell is null, and a warning. Changes nothing and runs in check mode too.
options:
  links:
    description: For each link the name of its interface on this node.
    type: dict
    default: {}
  packages:
    description: Names of packages.
    type: list
    elements: str
    default: []
  kernel_arguments:
    description: Names of kernel arguments, or arguments with their values, of which the names count.
    type: list
    elements: str
    default: []
  root:
    description: Where the node's files are.
    type: path
    default: /
  timeout_s:
    description: Time limit of each program that is asked, in seconds.
    type: float
    default: 20
attributes:
  check_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Read the versions
  node_versions_info:
    links: {link0: enp194s0np0}
    packages: [linux-firmware, rdma-core]
    kernel_arguments: [iommu, ttm.pages_limit]
  register: versions
"""

RETURN = r"""
versions:
  description:
    - C(kernel) and C(distribution) as texts, C(packages) by name (those that are not installed are left out; null where
      no tool tells), C(kernel_arguments) of the running kernel by name, C(runtimes) by program, C(images) by engine.
    - C(links) by name, each with C(name), C(mtu_bytes), C(pause) as in M(network_interface_info), C(card) (PCI
      identifiers), C(driver), C(driver_version), C(firmware) as C(ethtool -i) tells it and C(firmware_components) as
      C(devlink dev info) does (running).
  type: dict
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.process import run_command
from ..module_utils.versions.info import Versions


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "links": {"type": "dict", "default": {}},
            "packages": {"type": "list", "elements": "str", "default": []},
            "kernel_arguments": {"type": "list", "elements": "str", "default": []},
            "root": {"type": "path", "default": "/"},
            "timeout_s": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    given = module.params
    reader = Versions(run_command, Path(given["root"]), given["timeout_s"])
    versions = reader.read(given["links"], given["packages"], given["kernel_arguments"])
    for warning in reader.warnings:
        module.warn(warning)
    module.exit_json(changed=False, versions=versions)


if __name__ == "__main__":
    main()
