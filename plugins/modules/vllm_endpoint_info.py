"""Ansible module: health, models and a completion of a vLLM endpoint."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_endpoint_info
short_description: Ask a vLLM endpoint what it serves and whether it generates
description:
  - Asks for health, version, served models and a short greedy completion.
  - Ready means that the completion came back with a token. A health of 200 alone proves little, because it stays
    200 while the ranks hang.
  - Changes nothing and runs in check mode too.
options:
  url:
    description: Base address, such as C(http://127.0.0.1:8000).
    type: str
    required: true
  api_key:
    description: Key to send as bearer token.
    type: str
  api_key_path:
    description: File on the node that holds the key; better than O(api_key), since the key then never leaves the node.
    type: path
  model:
    description: Served name of the model to ask. The first served one if omitted.
    type: str
  prompt:
    description: Text to complete.
    type: str
    default: The capital of France is
  max_tokens:
    description: Length limit of the completion, in tokens.
    type: int
    default: 1
  timeout_s:
    description: Time limit of each question, in seconds.
    type: float
    default: 30
  wait_s:
    description: How long to ask again until the endpoint is ready, in seconds. 0 asks once.
    type: float
    default: 0
  unit:
    description: systemd unit that serves the endpoint. Once it has failed for good, waiting ends with its own words.
    type: str
  fail_unless_ready:
    description: Fail if the endpoint is not ready. Otherwise only report it in RV(ready) and RV(reason).
    type: bool
    default: false
author:
  - Tandem contributors
"""

EXAMPLES = r"""
- name: Wait until the engine generates
  vllm_endpoint_info:
    url: http://127.0.0.1:8000
    api_key_path: /etc/tandem/secrets/api_key
    model: smollm2
    wait_s: 300
    fail_unless_ready: true
"""

RETURN = r"""
ready:
  description: Whether health was 200 and a completion came back with a token.
  type: bool
  returned: always
reason:
  description: Why the endpoint is not ready; empty if it is.
  type: str
  returned: always
healthy:
  description: Whether the health question was answered with 200.
  type: bool
  returned: always
health:
  description: Status of the health question (null if unanswered) and its latency in milliseconds.
  type: dict
  returned: always
  sample: {status: 200, latency_ms: 1.9}
models:
  description: Served names.
  type: list
  elements: str
  returned: always
completion:
  description: Whether the completion succeeded, its text, number of tokens, finish reason and latency in milliseconds.
  type: dict
  returned: always
  sample: {ok: true, text: " Paris", tokens: 1, finish_reason: length, latency_ms: 171.3}
version:
  description: Version that the endpoint reports.
  type: str
  returned: always
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.process import CommandError
from ..module_utils.systemd.unit import explain_failure, read_unit_state
from ..module_utils.vllm.endpoint import Client, examine, examine_until_ready

ARGUMENT_SPEC = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "no_log": True},
    "api_key_path": {"type": "path", "no_log": False},
    "model": {"type": "str"},
    "prompt": {"type": "str", "default": "The capital of France is"},
    "max_tokens": {"type": "int", "default": 1, "no_log": False},
    "timeout_s": {"type": "float", "default": 30},
    "wait_s": {"type": "float", "default": 0},
    "unit": {"type": "str"},
    "fail_unless_ready": {"type": "bool", "default": False},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC, mutually_exclusive=[("api_key", "api_key_path")], supports_check_mode=True
    )
    options = module.params
    if not options["url"].startswith(("http://", "https://")):
        module.fail_json(msg=f"url: found {options['url']!r}, expected http://host:port")
    api_key = options["api_key"]
    if options["api_key_path"]:
        try:
            api_key = Path(options["api_key_path"]).read_text(encoding="utf-8").strip()
        except OSError as error:
            module.fail_json(msg=f"api_key_path: cannot read {options['api_key_path']}: {error.strerror}")
        module.no_log_values.add(api_key)
    client = Client(options["url"], api_key, options["timeout_s"])
    unit = options["unit"]
    try:
        found = examine_until_ready(
            lambda: examine(client, options["model"], options["prompt"], options["max_tokens"]),
            options["wait_s"],
            (lambda: explain_failure(unit, read_unit_state(unit))) if unit else str,
        )
    except CommandError as error:
        module.fail_json(msg=f"unit: {error}")
    if options["fail_unless_ready"] and not found.ready:
        module.fail_json(msg=f"{options['url']} is not ready: {found.reason}", **asdict(found))
    module.exit_json(changed=False, **asdict(found))


if __name__ == "__main__":
    main()
