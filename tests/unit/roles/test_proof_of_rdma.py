"""Proof in use, where some nodes of an engine take no part: silence is not traffic over TCP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
ANSWERS = {
    "rdma_info": {"devices": [{"name": "rxe0", "ports": [{"port": 1, "netdev": "lo"}]}]},
    "rdma_counters_info": {"counters": {}, "sent": 5, "received": 5},
    "vllm_endpoint_info": {"failed": True, "msg": "no answer"},
}


def verify(directory: Path, *arguments: str) -> str:
    modules = directory / "modules"
    modules.mkdir()
    for name, answer in ANSWERS.items():
        (modules / name).write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    nodes = ["n1", "n2"]
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "tandem_link": "link0",
        "link_links": [
            {
                "name": "link0",
                "mtu_bytes": 1500,
                "ends": {
                    node: {"interface": "lo", "address": f"192.168.100.{n}/24"} for n, node in enumerate(nodes, 1)
                },
            }
        ],
        "vllm_engine_engines": [{"name": "main", "served_model_name": "m", "port": 8000, "nodes": nodes}],
        "__vllm_engine_here": [{"name": "main", "nodes": nodes}],
    }
    inventory = {"all": {"hosts": {node: {} for node in nodes}, "vars": variables}}
    (directory / "hosts.json").write_text(json.dumps(inventory))
    include = {"ansible.builtin.include_role": {"name": "vllm_engine", "tasks_from": "proof"}}
    facts = {"ansible.builtin.setup": {"gather_subset": ["!all", "network"]}}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [facts, include]}]
    (directory / "play.yml").write_text(json.dumps(plays))
    program = Path(sys.executable).parent / "ansible-playbook"
    environment = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_LIBRARY": str(modules),
        "ANSIBLE_CACHE_PLUGIN": "memory",
        "ANSIBLE_HOME": str(directory / "home"),
    }
    argv = [str(program), "-i", str(directory / "hosts.json"), str(directory / "play.yml"), *arguments]
    done = subprocess.run(argv, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "silent"),
    [(("--limit", "n2"), "not in this run"), ((), "no answer")],
)
def test_a_node_that_nobody_asked_is_not_accused_of_tcp(
    tmp_path: Path, arguments: tuple[str, ...], silent: str
) -> None:
    output = verify(tmp_path, *arguments)

    assert "traffic went over TCP" not in output, output
    assert silent in output, output
