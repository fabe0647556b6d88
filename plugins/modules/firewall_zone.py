"""Ansible module: the default zone of firewalld."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_zone
short_description: One narrow zone of firewalld as the default for every interface that has no other
description:
  - Whatever comes over an interface that was not given a zone of its own falls into the default zone. On Fedora
    Workstation this is a zone that opens 1025-65535.
  - SSH stays open, also on another port than 22 if the connection of this run came in there.
  - A change of the default zone is taken back by systemd after O(undo_after_s) unless O(state=confirmed) comes first,
    through a connection that was made anew.
  - Interfaces that were put into a wide open zone on purpose are reported, and then nothing is changed.
options:
  zone:
    description: Name of the zone. It belongs to Tandem, and is made if it is missing.
    type: str
    required: true
  services:
    description: Services of firewalld to open, beside C(ssh).
    type: list
    elements: str
    default: []
  ports:
    description: Ports to open, as firewalld writes them, for example C(8080/tcp).
    type: list
    elements: str
    default: []
  accepted_zones:
    description: Zones that may be wide open, such as those of links.
    type: list
    elements: str
    default: []
  undo_after_s:
    description: Seconds after which an unconfirmed change of the default zone is taken back.
    type: int
    default: 60
  state:
    description: V(confirmed) only keeps what was changed before.
    type: str
    choices: [present, confirmed]
    default: present
author:
  - Tandem contributors
"""

EXAMPLES = r"""
- name: Narrow what other machines reach
  firewall_zone:
    zone: tandem-management
    services: [dhcpv6-client]
    accepted_zones: [tandem-link]
"""

RETURN = r"""
installed:
  description: Whether there is a firewalld at all.
  type: bool
  returned: state is present
running:
  description: Whether firewalld runs. If not, nothing was changed.
  type: bool
  returned: state is present
open_zones:
  description: Interfaces in zones that open more than a service needs, in words. If there are any, nothing was changed.
  type: list
  elements: str
  returned: state is present
  sample: ["enp5s0 is in zone FedoraWorkstation, which opens 1025-65535/tcp, 1025-65535/udp"]
before_matches:
  description: Whether firewalld runs and the zone was as asked for, and the default, before this call.
  type: bool
  returned: state is present
narrowed:
  description: What the former default zone opened and the new one does not.
  type: list
  elements: str
  returned: state is present
undo_pending:
  description: Whether the change is taken back unless it is confirmed.
  type: bool
  returned: state is present
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.firewall.client import Client, ensure, ssh_port_of_this_run
from ..module_utils.firewall.plan import wanted_zone
from ..module_utils.firewall.zones import FirewallError
from ..module_utils.process import CommandError

ARGUMENT_SPEC = {
    "zone": {"type": "str", "required": True},
    "services": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "str", "default": []},
    "accepted_zones": {"type": "list", "elements": "str", "default": []},
    "undo_after_s": {"type": "int", "default": 60},
    "state": {"type": "str", "choices": ["present", "confirmed"], "default": "present"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    given = module.params
    client = Client()
    try:
        if given["state"] == "confirmed":
            module.exit_json(changed=not module.check_mode and client.stop_undo())
        ssh_port = ssh_port_of_this_run(Path("/proc"), os.getppid())
        wanted = wanted_zone(given["zone"], given["services"], given["ports"], ssh_port)
        outcome = ensure(client, wanted, given["accepted_zones"], given["undo_after_s"], check_mode=module.check_mode)
    except (FirewallError, CommandError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=outcome.changed,
        installed=outcome.installed,
        running=outcome.running,
        before_matches=outcome.running and not outcome.calls,
        open_zones=outcome.open_zones,
        narrowed=outcome.narrowed,
        undo_pending=outcome.undo_pending,
        diff={"before": outcome.before, "after": outcome.after},
    )


if __name__ == "__main__":
    main()
