"""Ansible module: what a router lets through, and what it refuses."""

from __future__ import annotations

DOCUMENTATION = r"""
module: router_endpoint_info
short_description: Ask a router for readiness, models, hidden paths and a token of each model
description:
  - Asks as a client does. The router must be ready, refuse a wrong key with 401, hide what engines answer beside
    C(/v1), list the models, and answer a chat of one token from each.
  - Changes nothing and runs in check mode too.
options:
  url:
    description: Base address, such as C(http://127.0.0.1:8801).
    type: str
    required: true
  ready_url:
    description: Where readiness is asked, if not at C(/ready) of O(url).
    type: str
  api_key_path:
    description:
      - File on the node that holds a client's key. Without it no key is sent, and none is expected to be asked for.
    type: path
  certificate_path:
    description: File on the node with the router's certificate, which is trusted for this.
    type: path
  models:
    description: Models that must be listed and answer.
    type: list
    elements: str
    default: []
  timeout_s:
    description: Time limit of each question, in seconds.
    type: float
    default: 60
  wait_s:
    description: How long to ask again until all is as it must be, in seconds. 0 asks once.
    type: float
    default: 0
  unit:
    description: systemd unit of the router. Once it has failed for good, waiting ends with its own words.
    type: str
  fail_unless_ready:
    description: Fail if something is not as it must be. Otherwise only report it in RV(ready) and RV(reason).
    type: bool
    default: false
author:
  - Tandem contributors
"""

EXAMPLES = r"""
- name: Ask the router as a client does
  router_endpoint_info:
    url: http://127.0.0.1:8801
    api_key_path: /etc/tandem/secrets/router/CLIENT_DEFAULT
    models: [smollm2]
    fail_unless_ready: true
"""

RETURN = r"""
ready:
  description: Whether all is as it must be.
  type: bool
  returned: always
reason:
  description: What is not; empty if all is.
  type: str
  returned: always
models:
  description: Listed names.
  type: list
  elements: str
  returned: always
statuses:
  description: Status of each question; null if unanswered.
  type: dict
  returned: always
  sample: {ready: 200, wrong key: 401, /pause: 404, models: 200}
answers:
  description: Status and latency in milliseconds of the chat of each model.
  type: dict
  returned: always
  sample: {smollm2: {status: 200, latency_ms: 171.3}}
"""

import time
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.process import CommandError
from ..module_utils.router.front import WRONG_KEY, Clients, examine, examine_until_ready, trust
from ..module_utils.systemd.unit import explain_failure, read_unit_state
from ..module_utils.vllm.endpoint import Client

ARGUMENT_SPEC = {
    "url": {"type": "str", "required": True},
    "ready_url": {"type": "str"},
    "api_key_path": {"type": "path", "no_log": False},
    "certificate_path": {"type": "path"},
    "models": {"type": "list", "elements": "str", "default": []},
    "timeout_s": {"type": "float", "default": 60},
    "wait_s": {"type": "float", "default": 0},
    "unit": {"type": "str"},
    "fail_unless_ready": {"type": "bool", "default": False},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    if not options["url"].startswith(("http://", "https://")):
        module.fail_json(msg=f"url: found {options['url']!r}, expected http://host:port")
    try:
        key = Path(options["api_key_path"]).read_text(encoding="utf-8").strip() if options["api_key_path"] else None
    except OSError as error:
        module.fail_json(msg=f"api_key_path: cannot read {options['api_key_path']}: {error.strerror}")
    try:
        trusted = trust(options["certificate_path"]) if options["certificate_path"] else None
    except OSError as error:
        module.fail_json(msg=f"certificate_path: cannot read {options['certificate_path']}: {error}")
    if key:
        module.no_log_values.add(key)
    url, timeout_s = options["url"], options["timeout_s"]
    where = urlsplit(options["ready_url"] or f"{url}/ready")
    clients = Clients(
        front=Client(url, key, timeout_s, trusted),
        wrong=Client(url, WRONG_KEY, timeout_s, trusted) if key else None,
        ready=Client(f"{where.scheme}://{where.netloc}", None, timeout_s, trusted),
        ready_path=where.path,
    )
    unit = options["unit"]
    try:
        found = examine_until_ready(
            lambda: examine(clients, options["models"]),
            options["wait_s"],
            (lambda: explain_failure(unit, read_unit_state(unit))) if unit else str,
            time.monotonic,
            time.sleep,
        )
    except CommandError as error:
        module.fail_json(msg=f"unit: {error}")
    if options["fail_unless_ready"] and not found.ready:
        module.fail_json(msg=f"{url} is not as it must be: {found.reason}", **asdict(found))
    module.exit_json(changed=False, **asdict(found))


if __name__ == "__main__":
    main()
