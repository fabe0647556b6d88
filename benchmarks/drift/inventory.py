"""Inventories of lab nodes on one link: each has the same, and as many peers as there are others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Beside those of the lab and of Molecule.
LAB = "tandem-bench"
_SUBNET = "10.89.204.0/24"
_FIRST_PORT = 2221


def variables(count: int, project: Path, state: Path, model: Path) -> dict[str, Any]:
    """Return the variables of all nodes. Each has an engine of its own, all of one model.

    Args:
        count: How many nodes.
        project: The checkout.
        state: Where keys and results are kept.
        model: Directory of the weights.
    """
    names = [f"node{number}" for number in range(1, count + 1)]
    return {
        "lab_name": LAB,
        "lab_management_subnet": _SUBNET,
        "lab_state_directory": str(state),
        "fabric_gate_results_directory": str(state / "fabric"),
        "model_weights_models": [{"name": "model", "source": {"path": str(model)}, "revision": "1"}],
        "tandem_link": "link0",
        "link_links": [
            {
                "name": "link0",
                "mtu_bytes": 9000,
                "transport": "tcp",
                "ends": {
                    name: {"interface": "eth1", "address": f"192.168.100.{number}/24"}
                    for number, name in enumerate(names, 1)
                },
            }
        ],
        "vllm_engine_engines": [
            {
                "name": f"engine-{name}",
                "model": "model",
                "served_model_name": "standin",
                "nodes": [name],
                "executor": "mp",
                "port": 8000,
                "dtype": "bfloat16",
                "max_model_len": 1024,
                "kv_cache_memory_bytes": 67108864,
            }
            for name in names
        ],
        "tandem_runtime": {
            "lock": "",
            "projects": [str(project / "benchmarks/drift/engine")],
            "python": "/usr/bin/python3",
            "python_version": "3.11",
            "extra_index_urls": [],
            "imports": [],
        },
    }


def write(directory: Path, count: int, project: Path, state: Path, model: Path) -> None:
    """Write an inventory of this many nodes into a directory."""
    hosts = {f"node{number}": {"ansible_port": _FIRST_PORT + number - 1} for number in range(1, count + 1)}
    groups = {name: {"hosts": dict.fromkeys(hosts)} for name in ("nodes", "linked", "serving")}
    lab = project / "inventories" / "lab" / "group_vars"
    places = {
        "hosts.yml": {"all": {"hosts": hosts}, **groups},
        "group_vars/all/nodes.yml": variables(count, project, state, model),
    }
    for name, content in places.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # JSON is YAML.
        path.write_text(json.dumps(content, indent=2) + "\n")
    for name in ("all/gate.yml", "nodes/connection.yml", "nodes/plan.yml"):
        link = directory / "group_vars" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(lab / name)
