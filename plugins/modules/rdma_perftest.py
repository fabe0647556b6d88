#!/usr/bin/python
"""One end of one perftest run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_perftest
short_description: Run one end of an RDMA latency or bandwidth measurement
description:
  - Runs one of C(ib_send_lat), C(ib_write_lat), C(ib_read_lat), C(ib_send_bw), C(ib_write_bw) and C(ib_read_bw), as
    the server or as the client of one, and returns what it measured in one unit, whatever version is installed.
  - Both ends need the same O(test), sizes, O(iterations) or O(duration_s), O(queue_pairs) and O(rdma_cm).
  - The run never takes longer than O(timeout_s); nothing of it is left running then.
options:
  test:
    description: Which test to run.
    type: str
    choices: [send_lat, write_lat, read_lat, send_bw, write_bw, read_bw]
    required: true
  server:
    description: Address of the server. Omit it to be the server, which ends after one client.
    type: str
  device:
    description: Name of this node's RDMA device (see M(rdma_info)).
    type: str
    required: true
  port:
    description: Port of the device.
    type: int
    default: 1
  gid_index:
    description: GID to use. Chosen by the tool when omitted.
    type: int
  message_size_bytes:
    description: Size of a message. The tool's own when omitted.
    type: int
  all_sizes:
    description: Run all sizes from 2 bytes to 8 MiB; slow. Excludes O(message_size_bytes) and O(duration_s).
    type: bool
    default: false
  iterations:
    description: Number of messages, at least 5. The tool's own when omitted.
    type: int
  duration_s:
    description: Run for a time instead of a number of messages. Peak bandwidth and percentiles are not measured then.
    type: int
  mtu_bytes:
    description: MTU of RDMA, 256 to 4096. The active one of the port when omitted.
    type: int
  queue_pairs:
    description: Number of queue pairs of a bandwidth test.
    type: int
  inline_size_bytes:
    description: Largest message that is sent inline, for cards that do less than the tool assumes. Not for read tests.
    type: int
  rdma_cm:
    description: Connect with the RDMA connection manager.
    type: bool
    default: false
  control_port:
    description: TCP port on which the two ends agree.
    type: int
    default: 18515
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
- name: Measure the latency of small messages
  rdma_perftest:
    test: send_lat
    server: 192.168.100.1
    device: rocep194s0
    message_size_bytes: 64
    iterations: 1000
    connect_timeout_s: 2
"""

RETURN = r"""
results:
  description:
    - One entry per message size with C(message_size_bytes), C(iterations) and, for latency tests, C(latency_min_usec),
      C(latency_max_usec), C(latency_typical_usec), C(latency_avg_usec), C(latency_stdev_usec), C(latency_p99_usec) and
      C(latency_p999_usec), for bandwidth tests C(bandwidth_peak_gbit_per_s), C(bandwidth_avg_gbit_per_s) and
      C(message_rate_mpps). Null where the version does not print or measure it.
    - Empty in check mode, and on the server of a version that reports on the client only.
  type: list
  elements: dict
  returned: success
settings:
  description: C(device), C(mtu_bytes), C(gid_index), C(link_type) and C(connection_type) as the tool printed them.
  type: dict
  returned: success
duration_s:
  description: How long it took, with all attempts to connect.
  type: float
  returned: success
command:
  description: The command, without what limits and unbuffers it.
  type: list
  elements: str
  returned: always
error_kind:
  description:
    - One of V(missing_tool), V(no_device), V(unknown_device), V(port_down), V(connection_refused), V(gid_mismatch),
      V(gid_out_of_range), V(timeout), V(peer_lost), V(version_mismatch), V(memlock), V(permission), V(unparsable).
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
from ..module_utils.rdma.perftest import Outcome, RunFailed, run_end
from ..module_utils.rdma.perftest_output import parse_settings
from ..module_utils.rdma.perftest_request import TESTS, Request, RequestError, check_request, perftest_argv


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "test": {"type": "str", "choices": list(TESTS), "required": True},
            "server": {"type": "str"},
            "device": {"type": "str", "required": True},
            "port": {"type": "int", "default": 1},
            "gid_index": {"type": "int"},
            "message_size_bytes": {"type": "int"},
            "all_sizes": {"type": "bool", "default": False},
            "iterations": {"type": "int"},
            "duration_s": {"type": "int"},
            "mtu_bytes": {"type": "int"},
            "queue_pairs": {"type": "int"},
            "inline_size_bytes": {"type": "int"},
            "rdma_cm": {"type": "bool", "default": False},
            "control_port": {"type": "int", "default": 18515},
            "timeout_s": {"type": "float", "default": 30},
            "connect_timeout_s": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    request = Request(**module.params)
    try:
        check_request(request)
        if module.check_mode:
            outcome = Outcome([], parse_settings(""), perftest_argv(request), 0.0)
        else:
            outcome = run_end(run_command, request)
    except RequestError as error:
        module.fail_json(msg=str(error))
    except RunFailed as error:
        module.fail_json(msg=str(error), **error.document())
    module.exit_json(changed=False, **outcome.document())


if __name__ == "__main__":
    main()
