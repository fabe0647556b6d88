"""Filters over ``tandem.inventory``: what is wrong with the description of the cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ansible.errors import AnsibleUndefinedVariable

from tandem.front.config import router_config
from tandem.inventory.check import find_problems, format_problems, read_cluster
from tandem.inventory.description import Description, LockFile
from tandem.inventory.models import read_source, source_bytes
from tandem.inventory.ports import find_taken_ports, ports_of
from tandem.inventory.problems import Problem
from tandem.plan.stage import filled_engines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def read_specs(roles_directory: str) -> dict[str, dict[str, Any]]:
    """Read the options of every role."""
    specs = {}
    for path in sorted(Path(roles_directory).glob("*/meta/argument_specs.yml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        specs[path.parts[-3]] = document["argument_specs"]["main"].get("options", {})
    return specs


def _plain(value: Any) -> Any:  # noqa: ANN401 (what YAML can hold)
    """Work out the templates in a value and return ordinary containers; Ansible's do it on access."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _describe(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], roles_directory: str
) -> tuple[Description, list[Problem]]:
    """Collect what the inventory says about each node; a template that fails is a problem, too."""
    variables: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    specs = read_specs(roles_directory)
    for host in groups.get("nodes", []):
        variables[host] = {}
        for name in hostvars[host]:
            if name.startswith(("ansible_", "_")) or name in ("groups", "hostvars", "vars", "environment", "omit"):
                continue
            try:
                variables[host][name] = _plain(hostvars[host][name])
            except AnsibleUndefinedVariable as error:
                problems.append(Problem(name, f"cannot be worked out: {error}", "correct the template"))
    for own in variables.values():
        if "vllm_engine_engines" in own:
            # An engine that leaves its sizes to the plan is as good as one that says them.
            engines, models = own["vllm_engine_engines"], own.get("model_weights_models")
            own["vllm_engine_engines"] = filled_engines(engines, models, variables)
    models = next(iter(variables.values()), {}).get("model_weights_models")
    entries = [entry.get("source") for entry in models if isinstance(entry, dict)] if isinstance(models, list) else []
    paths = [source["path"] for source in entries if isinstance(source, dict) and isinstance(source.get("path"), str)]
    sources = {path: read_source(path) for path in paths}
    return Description(variables, dict(groups), specs, sources, _read_locks(variables)), problems


def _read_locks(variables: Mapping[str, Mapping[str, Any]]) -> dict[str, LockFile]:
    """Read the lock of each node's runtime."""
    runtimes = [own.get("tandem_runtime") for own in variables.values()]
    locks: dict[str, LockFile] = {}
    for path in {runtime.get("lock") for runtime in runtimes if isinstance(runtime, dict)}:
        if isinstance(path, str):
            try:
                locks[path] = LockFile(Path(path).read_text(encoding="utf-8", errors="replace"))
            except OSError as error:
                locks[path] = LockFile(fault=str(error.strerror))
    return locks


def problems(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], roles_directory: str
) -> list[str]:
    """Return everything that is wrong with the inventory, a line each."""
    description, found = _describe(hostvars, groups, roles_directory)
    found += find_problems(description)
    return [str(problem) for problem in dict.fromkeys(found or _router_problems(description))]


def _router_problems(description: Description) -> list[Problem]:
    """Check the configuration of each router as `tandem router check` does; the rest is known to be right."""
    cluster = read_cluster(description)
    if not cluster.routers:
        return []
    # Only here: most inventories' filters do without the libraries that it needs.
    from tandem.router.config.load import load

    problems: list[Problem] = []
    for host, settings in cluster.routers.items():
        document = router_config(settings, cluster.engines, host, cluster.links, cluster.link)
        problems += [
            Problem(_variable_of(problem.path), problem.found, problem.remedy)
            for problem in load(json.dumps(document).encode()).problems
        ]
    return problems


def _variable_of(path: str) -> str:
    """Return the variable that a part of the configuration comes from."""
    for part in ("routing", "global"):
        if path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0] == part:
            return f"model_router_{path}"
    return f"the router's configuration, {path}" if path else "the router's configuration"


def ports(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], roles_directory: str, node: str
) -> list[int]:
    """Return every port that the services of a node will listen on."""
    cluster = read_cluster(_describe(hostvars, groups, roles_directory)[0])
    return sorted({port for use in ports_of(cluster, node) for port in range(use.first, use.last + 1)})


def taken_ports(
    sockets: Sequence[Mapping[str, Any]],
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    roles_directory: str,
    node: str,
) -> list[str]:
    """Return the ports of a node that a process of somebody else holds, a line each."""
    cluster = read_cluster(_describe(hostvars, groups, roles_directory)[0])
    return [str(problem) for problem in find_taken_ports(cluster, node, sockets)]


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_problems": problems,
            "tandem_format_problems": format_problems,
            "tandem_ports": ports,
            "tandem_source_bytes": source_bytes,
            "tandem_taken_ports": taken_ports,
        }
