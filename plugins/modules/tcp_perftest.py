#!/usr/bin/python
"""One end of one measurement over TCP/IP."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_perftest
short_description: Run one end of a latency or bandwidth measurement over TCP/IP
description:
  - The counterpart of M(rdma_perftest) for links without RDMA, with the same keys, so that both can be judged alike.
  - V(tcp_lat) sends ICMP echo requests and reports half of each round trip, as perftest does. The kernel of the other
    end answers; the module returns at once there. V(tcp_bw) runs C(iperf3) for a time, one stream.
  - The run never takes longer than O(timeout_s); nothing of it is left running then.
options:
  test:
    description: Which test to run.
    type: str
    choices: [tcp_lat, tcp_bw]
    required: true
  server:
    description: Address of the server. Omit it to be the server, which ends after one client.
    type: str
  bind_address:
    description: Own address on the link. Required for the server, which answers on this address only.
    type: str
  message_size_bytes:
    description: Payload of an echo request (at least 16), or what is handed to the kernel at once.
    type: int
  iterations:
    description: Number of echo requests, 2 ms apart. 100 when omitted. For V(tcp_lat).
    type: int
  duration_s:
    description: How long to send. 2 when omitted. For V(tcp_bw).
    type: int
  control_port:
    description: TCP port of the server.
    type: int
    default: 5201
  timeout_s:
    description: Time limit of everything, in seconds.
    type: float
    default: 30
  connect_timeout_s:
    description: How long a client tries again while nobody listens, in seconds. A part of O(timeout_s).
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    details: Checks the parameters and runs nothing.
author: The Tandem authors
"""

EXAMPLES = r"""
- name: Measure the bandwidth to the peer
  tcp_perftest:
    test: tcp_bw
    server: 192.168.100.1
    duration_s: 2
    timeout_s: 6
    connect_timeout_s: 2
"""

RETURN = r"""
results:
  description:
    - One entry with C(message_size_bytes), C(iterations) and, for V(tcp_lat), C(latency_min_usec), C(latency_max_usec),
      C(latency_typical_usec), C(latency_avg_usec), C(latency_stdev_usec), C(latency_p99_usec) and C(latency_p999_usec),
      for V(tcp_bw) C(bandwidth_peak_gbit_per_s), C(bandwidth_avg_gbit_per_s) and C(message_rate_mpps). Null where it is
      not measured.
    - Empty in check mode, and on the server of V(tcp_lat).
  type: list
  elements: dict
  returned: success
settings:
  description: C(device), C(mtu_bytes), C(gid_index), C(link_type) and C(connection_type), as of M(rdma_perftest).
  type: dict
  returned: success
duration_s:
  description: How long it took, with all attempts to connect.
  type: float
  returned: success
command:
  description: The command, without what limits it. Empty where none is needed.
  type: list
  elements: str
  returned: always
error_kind:
  description:
    - One of V(missing_tool), V(connection_refused), V(timeout), V(peer_lost), V(version_mismatch), V(permission),
      V(unparsable).
  type: str
  returned: failure of the run
phase:
  description: How far the run came, V(start), V(connect) to the other end, or V(exchange) with it.
  type: str
  returned: failure of the run
remedy:
  description: What to do.
  type: str
  returned: failure of the run
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.process import run_command
from ..module_utils.tcp.request import TESTS, Request, RequestError, check_request
from ..module_utils.tcp.run import Outcome, RunFailed, command_of, run_end, settings_of


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "test": {"type": "str", "choices": list(TESTS), "required": True},
            "server": {"type": "str"},
            "bind_address": {"type": "str"},
            "message_size_bytes": {"type": "int"},
            "iterations": {"type": "int"},
            "duration_s": {"type": "int"},
            "control_port": {"type": "int", "default": 5201},
            "timeout_s": {"type": "float", "default": 30},
            "connect_timeout_s": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    request = Request(**module.params)
    try:
        check_request(request)
        if module.check_mode:
            outcome = Outcome([], settings_of(request), command_of(request), 0.0)
        else:
            outcome = run_end(run_command, request)
    except RequestError as error:
        module.fail_json(msg=str(error))
    except RunFailed as error:
        module.fail_json(msg=str(error), **error.document())
    module.exit_json(changed=False, **outcome.document())


if __name__ == "__main__":
    main()
