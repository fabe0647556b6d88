#!/usr/bin/python
"""What the PyTorch of a virtual environment was built for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: torch_build_info
short_description: Read what a PyTorch was built for
description:
  - Reads C(torch/version.py) of a virtual environment, without importing anything.
  - Changes nothing and runs in check mode too.
options:
  environment:
    description: Directory of the virtual environment.
    type: path
    required: true
attributes:
  check_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Read what the engine's PyTorch was built for
  torch_build_info:
    environment: /opt/tandem/engine/current/venv
  register: torch
"""

RETURN = r"""
path:
  description: The file that was read; null if there is no PyTorch, or no such environment.
  type: str
  returned: success
version:
  description: Version of PyTorch.
  type: str
  returned: success
cuda:
  description: Version of CUDA that it was built with; null if it was not.
  type: str
  returned: success
hip:
  description: Version of HIP (ROCm) that it was built with; null if it was not.
  type: str
  returned: success
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpu.torch_build import TorchBuild, parse_version_file


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={"environment": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    places = sorted(Path(module.params["environment"]).glob("lib*/python3*/site-packages/torch/version.py"))
    build, path = TorchBuild(None, None, None), None
    if places:
        path = str(places[0])
        try:
            build = parse_version_file(places[0].read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            module.fail_json(msg=f"{path} cannot be read: {error.strerror}")
    module.exit_json(changed=False, path=path, **asdict(build))


if __name__ == "__main__":
    main()
