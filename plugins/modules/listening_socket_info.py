"""Ansible module: which sockets listen on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: listening_socket_info
short_description: Read which sockets listen, and which process and systemd unit own them
description:
  - Runs C(ss) and finds the systemd unit of each socket by its control group.
  - Changes nothing and runs in check mode too.
options:
  protocols:
    description: Which protocols to read.
    type: list
    elements: str
    choices: [tcp, udp]
    default: [tcp]
  ports:
    description: Report only sockets on these ports. Empty for all.
    type: list
    elements: int
    default: []
  proc_root:
    description: Where the process file system is mounted.
    type: path
    default: /proc
  timeout_s:
    description: Time limit of C(ss), in seconds.
    type: float
    default: 10
author:
  - Tandem contributors
"""

EXAMPLES = r"""
- name: Read who listens on the port of the engine
  listening_socket_info:
    ports: [8000]
  register: engine_port
"""

RETURN = r"""
sockets:
  description:
    - One entry per socket with C(protocol), C(address), C(port), C(interface), C(pid), C(process) and C(unit).
    - The address C(*) serves IPv4 and IPv6. The last three are null where the kernel or missing privileges do not tell.
  type: list
  elements: dict
  returned: success
  sample:
    - protocol: tcp
      address: 127.0.0.1
      port: 8000
      interface: null
      pid: 812
      process: vllm
      unit: tandem-engine@smollm2.service
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.process import CommandError
from ..module_utils.sockets.listening import SocketsError, read_sockets

ARGUMENT_SPEC = {
    "protocols": {"type": "list", "elements": "str", "choices": ["tcp", "udp"], "default": ["tcp"]},
    "ports": {"type": "list", "elements": "int", "default": []},
    "proc_root": {"type": "path", "default": "/proc"},
    "timeout_s": {"type": "float", "default": 10},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    try:
        sockets = read_sockets(options["protocols"], Path(options["proc_root"]), options["timeout_s"])
    except (CommandError, SocketsError) as error:
        module.fail_json(msg=str(error))
    wanted = set(options["ports"])
    module.exit_json(
        changed=False, sockets=[asdict(socket) for socket in sockets if not wanted or socket.port in wanted]
    )


if __name__ == "__main__":
    main()
