"""Where an engine or the router answers: asks Ansible, as inventories hold templates and vaults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.errors import TandemError

_FACTS = (
    "{'engines': vllm_engine_engines, 'router': groups['router'] | default([]),"
    " 'hosts': dict(groups['all'] | zip(groups['all'] | map('extract', hostvars) | map('dict2items')"
    " | map('selectattr', 'key', 'match', '^(ansible_(host|port|user|ssh_.*|become)"
    "|model_router_(listen_address|port|clients|tls_certificate))$') | map('items2dict')))}"
)


@dataclass(frozen=True)
class Endpoint:
    """A server and the way to its node.

    Attributes:
        name: The engine's; of the router `router`.
        model: What is asked for.
        unit: What systemd calls it.
        key_path: Where its key is, which only root can read.
    """

    name: str
    model: str
    unit: str
    key_path: str
    node: str
    address: str
    port: int
    ssh: tuple[str, ...]
    become: bool


def read_inventory(inventory: Path) -> dict[str, Any]:
    """Return the engines and connection variables of ``inventory``, with all templates resolved.

    Raises:
        TandemError: where the inventory cannot be read or has no engines.

    """
    ansible = Path(sys.executable).parent / "ansible"
    argv = [
        str(ansible),
        "serving[0]",
        "-i",
        str(inventory),
        "-m",
        "ansible.builtin.debug",
        "-a",
        f"msg={{{{ {_FACTS} | to_json }}}}",
    ]
    environment = os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=60, check=False)
    try:
        # Other callbacks may print around the document.
        document, _ = json.JSONDecoder().raw_decode(done.stdout, max(done.stdout.find('{\n    "'), 0))
        result = next(iter(document["plays"][0]["tasks"][0]["hosts"].values()))
        return dict(json.loads(result["msg"]) if isinstance(result["msg"], str) else result["msg"])
    except (ValueError, LookupError) as error:
        reason = (done.stderr.strip() or done.stdout.strip() or "no answer").splitlines()[-1]
        raise TandemError(f"{inventory}: cannot read vllm_engine_engines and the group 'serving': {reason}") from error


def ssh_command(node: str, variables: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ``ssh`` command to a node, from the connection variables that Ansible uses for it."""
    import shlex

    argv = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    argv += shlex.split(str(variables.get("ansible_ssh_common_args", "")))
    argv += shlex.split(str(variables.get("ansible_ssh_extra_args", "")))
    if key := variables.get("ansible_ssh_private_key_file"):
        argv += ["-i", str(key)]
    if port := variables.get("ansible_port"):
        argv += ["-p", str(port)]
    if user := variables.get("ansible_user"):
        argv += ["-l", str(user)]
    return (*argv, str(variables.get("ansible_host", node)))


def find(facts: Mapping[str, Any], engine: str | None) -> Endpoint:
    """Return the endpoint of the engine of that name, or of the first one.

    Raises:
        TandemError: where there is no such engine.

    """
    engines: Sequence[Mapping[str, Any]] = facts["engines"]
    found = next((entry for entry in engines if engine in (None, entry["name"])), None)
    if found is None:
        known = ", ".join(entry["name"] for entry in engines)
        raise TandemError(f"vllm_engine_engines has no engine {engine!r}; there: {known}")
    leader = found["nodes"][0]
    variables = facts["hosts"][leader]
    return Endpoint(
        name=found["name"],
        model=found["served_model_name"],
        unit=f"tandem-engine@{found['name']}",
        key_path=f"/etc/tandem/secrets/engine-{found['name']}.key",
        node=leader,
        address=found.get("listen_address", "127.0.0.1"),
        port=int(found["port"]),
        ssh=ssh_command(leader, variables),
        become=bool(variables.get("ansible_become", False)),
    )


def find_router(facts: Mapping[str, Any], model: str) -> Endpoint:
    """Return the endpoint of the first router, to be asked for a model, which may be a virtual name.

    Raises:
        TandemError: where there is none, or it takes TLS only.

    """
    if not facts["router"]:
        raise TandemError("the group 'router' has no node; put one into it and run site.yml, or ask an engine")
    node = facts["router"][0]
    variables = facts["hosts"][node]
    if variables.get("model_router_tls_certificate"):
        raise TandemError(
            f"{node}: model_router_tls_certificate is set, and this command speaks no TLS: ask with another client"
        )
    address = str(variables.get("model_router_listen_address", "127.0.0.1"))
    client = variables.get("model_router_clients", ["default"])[0]
    return Endpoint(
        name="router",
        model=model,
        unit="tandem-router",
        key_path=f"/etc/tandem/secrets/router/CLIENT_{client.upper().replace('-', '_')}",
        node=node,
        address={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address),  # noqa: S104 (asked, not listened on)
        port=int(variables.get("model_router_port", 8801)),
        ssh=ssh_command(node, variables),
        become=bool(variables.get("ansible_become", False)),
    )
