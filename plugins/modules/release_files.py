#!/usr/bin/python
"""Ansible module: whether an installed release is still what was installed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_files
short_description: Record the files of a release, and find out whether they are still the same
description:
  - A release is a directory that is never changed once it is whole. It is whole if it has a file C(.complete).
  - With O(state=recorded) all names below it are written to its file C(.files), with owner, mode, times, and digest.
  - With O(state=whole) they are compared with that; files whose times and sizes are as they were are not read. Where
    one differs, C(.complete) is removed, so that the release is made anew.
  - What Python compiles (C(__pycache__)) is not looked at.
options:
  path:
    description: Directory of the release.
    type: path
    required: true
  state:
    description: What to do.
    type: str
    choices: [recorded, whole]
    default: whole
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: See whether the release is whole
  release_files:
    path: /opt/tandem/engine/0123456789ab
  register: release
"""

RETURN = r"""
whole:
  description: Whether the release is there, complete, and as it was recorded.
  type: bool
  returned: success
differences:
  description: What differs from the record, a line each, sorted by path.
  type: list
  elements: str
  returned: success
  sample: ["venv/lib/python3.12/site-packages/vllm/version.py: other content"]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files import tree

_COMPLETE, _FILES = ".complete", ".files"
#: So many are shown as a difference.
_MAX_SHOWN = 20


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["recorded", "whole"], "default": "whole"},
        },
        supports_check_mode=True,
    )
    root = Path(module.params["path"])
    try:
        if module.params["state"] == "recorded":
            _record(module, root)
        else:
            _compare(module, root)
    except OSError as error:
        module.fail_json(msg=f"{root} cannot be looked through: {error}")


def _record(module: AnsibleModule, root: Path) -> None:
    if not module.check_mode:
        draft = root / f"{_FILES}.part"
        draft.unlink(missing_ok=True)
        draft.write_text(tree.dump(tree.record(root, frozenset((_COMPLETE, _FILES, draft.name)))))
        draft.chmod(0o644)
        draft.replace(root / _FILES)
    module.exit_json(changed=True, whole=True, differences=[])


def _compare(module: AnsibleModule, root: Path) -> None:
    marker = root / _COMPLETE
    if not marker.is_file():
        module.exit_json(changed=False, whole=False, differences=[])
    differences = _differences(root)
    if not differences:
        module.exit_json(changed=False, whole=True, differences=[])
    if not module.check_mode:
        marker.unlink()
    more = [f"and {len(differences) - _MAX_SHOWN} more"] if len(differences) > _MAX_SHOWN else []
    shown = "".join(f"{line}\n" for line in differences[:_MAX_SHOWN] + more)
    diff = {"before_header": str(root), "after_header": f"{root}, as it was installed", "before": shown, "after": ""}
    module.exit_json(changed=True, whole=False, differences=differences, diff=diff)


def _differences(root: Path) -> list[str]:
    try:
        known = tree.load((root / _FILES).read_text())
    except (FileNotFoundError, ValueError, TypeError):
        return [f"{_FILES}: nothing was recorded that the files could be compared with"]
    return tree.differences(root, frozenset((_COMPLETE, _FILES)), known)


if __name__ == "__main__":
    main()
