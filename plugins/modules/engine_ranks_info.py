"""Ansible module: the ranks that live on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_ranks_info
short_description: Find the processes on this node that hold a rank of an engine
description:
  - Reads process titles and control groups. Changes nothing and runs in check mode too.
options:
  proc_root:
    description: Where the kernel shows processes.
    type: path
    default: /proc
author:
  - Tandem contributors
"""

EXAMPLES = r"""
- name: See which ranks live here
  engine_ranks_info: {}
  register: found
"""

RETURN = r"""
ranks:
  description: The processes that hold a rank.
  type: list
  elements: dict
  returned: always
  sample: [{pid: 5298, title: ray::RayWorkerProc.run, unit: tandem-ray.service}]
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ranks.processes import ranks, read_processes

ARGUMENT_SPEC = {"proc_root": {"type": "path", "default": "/proc"}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    found = ranks(read_processes(Path(module.params["proc_root"])))
    module.exit_json(changed=False, ranks=[asdict(process) for process in found])


if __name__ == "__main__":
    main()
