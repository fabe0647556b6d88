"""Ansible module: several configuration files at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Write several small configuration files, and the directories that they are in
description:
  - Each file is written as a whole or not at all. One that is as it should be is not touched.
  - One call for all files of a role. A loop of C(ansible.builtin.template) runs two modules for each file, and another
    for each directory.
options:
  files:
    description: The files, in the order in which they are written.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path of the file.
        type: path
        required: true
      content:
        description: What the file holds. Left out, the file is removed.
        type: str
  file_mode:
    description: Mode of the files, in octal digits. They belong to root, as whoever runs the module.
    type: str
    default: "0644"
  root:
    description: Directory that stands for the root of the file system. For tests.
    type: path
    default: /
author:
  - Tandem contributors
"""

EXAMPLES = r"""
- name: Keep a service from the OOM killer
  config_files:
    files:
      - path: /etc/systemd/system/sshd.service.d/50-tandem.conf
        content: "{{ lookup('ansible.builtin.template', 'ssh.conf.j2') }}"
"""

RETURN = r"""
written_files:
  description: Files that were written or removed, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/etc/systemd/system/sshd.service.d/50-tandem.conf]
"""

import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files.wanted import File, FilesError, compare

FILE = {"path": {"type": "path", "required": True}, "content": {"type": "str"}}
ARGUMENT_SPEC = {
    "files": {"type": "list", "elements": "dict", "required": True, "options": FILE},
    "file_mode": {"type": "str", "default": "0644"},
    "root": {"type": "path", "default": "/"},
}


def apply(module: AnsibleModule, file: File) -> None:
    """Make a file what it should be."""
    if file.after is None:
        file.path.unlink()
        return
    file.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    handle, draft = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as written:
        written.write(file.after)
    # Gives it the SELinux context that its place asks for.
    module.atomic_move(draft, str(file.path))
    os.chown(file.path, os.geteuid(), os.getegid())  # a file that is replaced keeps its owner otherwise
    file.path.chmod(file.mode_after)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    given = module.params
    try:
        files = compare(Path(given["root"]), given["files"], int(given["file_mode"], 8))
        changed = [file for file in files if file.differs]
        for file in changed if not module.check_mode else []:
            apply(module, file)
    except (FilesError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(changed),
        written_files=[str(file.path) for file in changed],
        diff=[file.diff() for file in changed],
    )


if __name__ == "__main__":
    main()
