#!/usr/bin/python
"""Kernel arguments of every boot entry, and of those to come."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_args
short_description: Kernel arguments of all boot entries
description:
  - Compares the arguments of every boot entry that starts Linux with what is wanted, token by token, and changes only
    entries that differ, by C(grubby), or by C(rpm-ostree kargs) on ostree hosts. All that is not asked for stays.
  - Brings C(/etc/kernel/cmdline) and C(/etc/default/grub) to the same, so that the next kernel inherits the arguments.
  - Never reboots. It compares C(/proc/cmdline) with what is wanted and returns RV(reboot_required).
options:
  present:
    description:
      - Arguments to have, as V(name) or V(name=value). A value takes the place of all other values of its
        name. The same name may be given with several values.
    type: list
    elements: str
    default: []
  absent:
    description: Arguments not to have. V(name) goes with any value, V(name=value) goes alone.
    type: list
    elements: str
    default: []
  root:
    description: Where C(etc), C(proc) and C(run) are looked for. For tests.
    type: path
    default: /
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Set what the link and the GPU need
  kernel_args:
    present: [iommu=pt, pcie_aspm=off]
    absent: [amdgpu.gttsize]
  register: arguments
"""

RETURN = r"""
changed_places:
  description: Boot entries and files that differed from what is wanted.
  type: list
  elements: str
  returned: success
reboot_required:
  description: Whether the running kernel was started with other arguments than wanted.
  type: bool
  returned: success
running_differences:
  description: What the running kernel lacks or has too much, in words.
  type: list
  elements: str
  returned: success
skipped_entries:
  description: Boot entries that were left alone because they start no Linux.
  type: list
  elements: str
  returned: success
tool:
  description: Who owns the boot entries; V(grubby) or V(rpm-ostree).
  type: str
  returned: success
"""

import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.kernel_args.boot import ensure
from ..module_utils.kernel_args.tokens import KernelArgsError, Wanted
from ..module_utils.process import CommandError, ToolMissing, run_command


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "present": {"type": "list", "elements": "str", "default": []},
            "absent": {"type": "list", "elements": "str", "default": []},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )

    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        # Keeps owner, mode and SELinux context of what it replaces.
        module.atomic_move(draft, str(path))

    given = module.params
    wanted = Wanted(tuple(dict.fromkeys(given["present"])), tuple(dict.fromkeys(given["absent"])))
    try:
        outcome = ensure(run_command, write, Path(given["root"]), wanted, check_mode=module.check_mode)
    except ToolMissing as error:
        module.fail_json(
            msg=f"{error}. It owns the boot entries of this node: install it (Fedora: dnf install grubby). Where there "
            "are none (a container), or others own them (unified kernel images), set kernel_args_manage: false"
        )
    except (KernelArgsError, CommandError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(outcome.changed),
        changed_places=list(outcome.changed),
        reboot_required=bool(outcome.running_differences),
        running_differences=list(outcome.running_differences),
        skipped_entries=list(outcome.skipped),
        tool=outcome.tool,
        diff={"before": outcome.before.render(), "after": outcome.after.render()},
    )


if __name__ == "__main__":
    main()
