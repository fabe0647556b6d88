"""Ansible module: the nodes and resources of a Ray cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ray_cluster_info
short_description: Read the nodes of a Ray cluster and what they offer
description:
  - Asks the global control store of Ray which nodes it has, without the dashboard and without starting a worker.
  - Fails, naming the node and the resource, if an expected node is not alive or offers less than it should.
  - Changes nothing and runs in check mode too.
options:
  python:
    description: Python interpreter of the runtime in which Ray is installed.
    type: path
    required: true
  address:
    description: Host and port of the head's control store, such as C(192.168.100.1:6379).
    type: str
    required: true
  token_path:
    description: File on the node with the token of the cluster. Ray reads it; its content appears nowhere.
    type: path
  expected_nodes:
    description: Addresses of the nodes that must be alive. Empty to accept any.
    type: list
    elements: str
    default: []
  resources_per_node:
    description:
      - Least amount of each resource that every expected node must offer, such as C({GPU 1}) as a dictionary.
      - Without O(expected_nodes) it applies to every living node.
    type: dict
    default: {}
  timeout_s:
    description: Time limit of one question, in seconds.
    type: float
    default: 10
  wait_s:
    description: How long to ask again until nothing is missing, in seconds. 0 asks once.
    type: float
    default: 0
  fail_on_shortfall:
    description: Fail if a node or resource is missing. Otherwise only report it in RV(shortfalls).
    type: bool
    default: true
author:
  - Tandem contributors
"""

EXAMPLES = r"""
- name: Both nodes are in the cluster and offer a GPU each
  ray_cluster_info:
    python: /opt/tandem/engine/current/venv/bin/python
    address: 192.168.100.1:6379
    token_path: /etc/tandem/ray/token
    expected_nodes: [192.168.100.1, 192.168.100.2]
    resources_per_node: {GPU: 1}
    wait_s: 60
"""

RETURN = r"""
ray_version:
  description: Version of Ray in the given interpreter.
  type: str
  returned: success
nodes:
  description:
    - One entry per node with C(node_id), C(address), C(hostname), C(alive), C(is_head), C(resources),
      C(resources_available), C(labels) and C(death_reason).
    - A node that came back is listed again as alive, after which its former entry stays for a while as dead.
  type: list
  elements: dict
  returned: success
alive_count:
  description: Number of living nodes.
  type: int
  returned: success
totals:
  description: Sum of each resource over the living nodes; memory is in bytes.
  type: dict
  returned: success
shortfalls:
  description: One sentence for every expected node or resource that is missing.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ray.cluster import ClusterError, Request, read_cluster

ARGUMENT_SPEC = {
    "python": {"type": "path", "required": True},
    "address": {"type": "str", "required": True},
    "token_path": {"type": "path", "no_log": False},
    "expected_nodes": {"type": "list", "elements": "str", "default": []},
    "resources_per_node": {"type": "dict", "default": {}},
    "timeout_s": {"type": "float", "default": 10},
    "wait_s": {"type": "float", "default": 0},
    "fail_on_shortfall": {"type": "bool", "default": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = dict(module.params)
    fail_on_shortfall = options.pop("fail_on_shortfall")
    if not options["address"].rpartition(":")[2].isdigit():
        module.fail_json(msg=f"address: found {options['address']!r}, expected host:port")
    try:
        options["resources_per_node"] = {name: float(value) for name, value in options["resources_per_node"].items()}
    except (TypeError, ValueError) as error:
        module.fail_json(msg=f"resources_per_node: amounts must be numbers: {error}")
    try:
        cluster = read_cluster(Request(**options))
    except ClusterError as error:
        module.fail_json(msg=str(error), shortfalls=[str(error)])
    if fail_on_shortfall and cluster["shortfalls"]:
        module.fail_json(msg="; ".join(cluster["shortfalls"]), **cluster)
    module.exit_json(changed=False, **cluster)


if __name__ == "__main__":
    main()
