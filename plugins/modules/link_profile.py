#!/usr/bin/python
"""The NetworkManager profile of one end of a link."""

from __future__ import annotations

DOCUMENTATION = r"""
module: link_profile
short_description: NetworkManager profile of one end of a link between nodes
description:
  - Makes a static Ethernet profile, activates it and reads back whether the device really has its address and MTU.
  - The former state is kept in a checkpoint before the first change, until it is restored or committed, so that a
    verification that needs both ends (see role link) can send every end back to where it was.
  - A device that drifted from its profile (other MTU, other addresses, other profile, down) is activated anew.
options:
  name:
    description: Name of the link and of its profile (connection.id).
    type: str
    required: true
  state:
    description:
      - V(present) makes and activates the profile. V(restored) goes back to the checkpoint, V(committed) drops it.
      - V(absent) deletes the profile and the checkpoint.
    type: str
    choices: [present, restored, committed, absent]
    default: present
  interface:
    description: Name of the Ethernet device. Exactly one of O(interface) and O(mac_address) with O(state=present).
    type: str
  mac_address:
    description: Permanent MAC address of the Ethernet device.
    type: str
  address:
    description: IPv4 address with prefix length, for example V(192.168.100.1/30).
    type: str
  mtu_bytes:
    description: MTU of the device, in bytes.
    type: int
  zone:
    description: Zone of firewalld. Left as it is when omitted.
    type: str
  pause:
    description:
      - Whether the device sends and obeys pause frames (link-level flow control), without autonegotiation of these.
        Needs NetworkManager 1.32. Left as it is when omitted.
      - Cards that autonegotiate their link may refuse it, which NetworkManager only logs. See C(ethtool -a).
    type: bool
  checkpoint_directory:
    description: Where checkpoints are kept, for root only.
    type: path
    default: /var/lib/tandem/link
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: The Tandem authors
"""

EXAMPLES = r"""
- name: This node's end of the link
  link_profile:
    name: link0
    interface: eth1
    address: 192.168.100.1/30
    mtu_bytes: 9000
"""

RETURN = r"""
interface:
  description: The device of the link.
  type: str
  returned: when known
checkpoint:
  description: Whether a former state is kept that can be restored.
  type: bool
  returned: always
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.link.client import NetworkManager
from ..module_utils.link.nmcli import UnexpectedOutput
from ..module_utils.link.profile import LinkError, LinkSettings, render
from ..module_utils.link.states import Outcome, commit, ensure_absent, ensure_present, restore
from ..module_utils.process import CommandError, ToolMissing, run_command


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["present", "restored", "committed", "absent"],
                "default": "present",
            },
            "interface": {"type": "str"},
            "mac_address": {"type": "str"},
            "address": {"type": "str"},
            "mtu_bytes": {"type": "int"},
            "zone": {"type": "str"},
            "pause": {"type": "bool"},
            "checkpoint_directory": {"type": "path", "default": "/var/lib/tandem/link"},
        },
        required_if=[
            ("state", "present", ("address", "mtu_bytes")),
            ("state", "present", ("interface", "mac_address"), True),
        ],
        mutually_exclusive=[("interface", "mac_address")],
        supports_check_mode=True,
    )
    try:
        outcome = _apply(module)
    except ToolMissing as error:
        module.fail_json(
            msg=f"{error}. A link is a NetworkManager profile: install and start NetworkManager (and iproute)"
        )
    except (LinkError, CommandError, UnexpectedOutput, OSError) as error:
        module.fail_json(msg=str(error))
    if outcome.warning:
        module.warn(outcome.warning)
    module.exit_json(
        changed=outcome.changed,
        interface=outcome.interface,
        checkpoint=outcome.checkpoint,
        diff={"before": render(outcome.before), "after": render(outcome.after)},
    )


def _apply(module: AnsibleModule) -> Outcome:
    given = module.params
    manager = NetworkManager(run_command)
    directory = Path(given["checkpoint_directory"])
    if given["state"] == "present":
        keys = ("name", "address", "mtu_bytes", "interface", "mac_address", "zone", "pause")
        settings = LinkSettings(**{key: given[key] for key in keys})
        return ensure_present(manager, settings, directory, check_mode=module.check_mode)
    if given["state"] == "committed":
        return commit(given["name"], directory, check_mode=module.check_mode)
    leave = {"restored": restore, "absent": ensure_absent}[given["state"]]
    return leave(manager, given["name"], directory, check_mode=module.check_mode)


if __name__ == "__main__":
    main()
