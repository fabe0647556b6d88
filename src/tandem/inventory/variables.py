"""Names of variables: which are known, and which must be the same on every host."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from tandem.inventory.problems import Problem, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.inventory.description import Description
    from tandem.inventory.specs import Option, Value

#: Variables of the playbooks, which belong to no role.
PLAYBOOK_OPTIONS: dict[str, Option] = {
    "tandem_runtime": {
        "type": "dict",
        "description": "The Python runtime of the ranks.",
        "options": {
            "lock": {"type": "path", "description": "Requirements file with hashes."},
            "projects": {"type": "list", "elements": "path", "default": [], "description": "Local projects to add."},
            "python": {"type": "path", "description": "Interpreter on the nodes."},
            "python_version": {"type": "str", "description": "Its version, such as 3.11."},
            "extra_index_urls": {"type": "list", "elements": "str", "default": [], "description": "Further indexes."},
            "imports": {"type": "list", "elements": "str", "default": [], "description": "Modules to import once."},
        },
    },
    "tandem_reboot_allowed": {"type": "bool", "description": "Consent to reboot nodes that need it, one at a time."},
    "plan_gpu_memory_gib": {"type": "float", "description": "Memory that one GPU of the node has for an engine."},
    "plan_memory_bandwidth_gb_per_s": {"type": "float", "description": "What one GPU's memory reads."},
    "plan_gpus": {"type": "int", "description": "GPUs of the node."},
    "plan_link_gbit_per_s": {"type": "float", "description": "Promised bandwidth of tandem_link."},
    "plan_link_latency_usec": {"type": "float", "description": "Promised latency of tandem_link, one way."},
}
#: A cluster has one of each, however many hosts look at it.
CLUSTER_WIDE = (
    *("link_links", "tandem_link", "ray_head", "vllm_engine_engines", "model_weights_models"),
    *("plan_link_gbit_per_s", "plan_link_latency_usec"),
)
#: A name that starts with one of these is meant for us, besides the names of the roles.
PREFIXES = ("tandem_", "plan_")


def known_options(specs: Mapping[str, Mapping[str, Option]]) -> dict[str, Option]:
    """Return every variable that a role or a playbook reads; the same variable means the same in all of them."""
    options: dict[str, Option] = dict(PLAYBOOK_OPTIONS)
    for role in specs.values():
        for name, option in role.items():
            # The role that owns a list describes its entries; others only name it.
            if name not in options or "options" in option:
                options[name] = option
    return options


def find_unknown(description: Description) -> list[Problem]:
    """Find variables that look like ours and are read by nobody."""
    known = known_options(description.specs)
    prefixes = tuple(f"{role}_" for role in description.specs) + PREFIXES
    names = {name for variables in description.variables.values() for name in variables}
    problems = []
    for name in sorted(names - known.keys()):
        if name.startswith(("ansible_", "_")):
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if close:
            problems.append(Problem(name, "is an unknown variable", f"did you mean {close[0]}?"))
        elif name.startswith(prefixes):
            prefix = max((prefix for prefix in prefixes if name.startswith(prefix)), key=len)
            ours = [other for other in known if other.startswith(prefix)]
            problems.append(Problem(name, "is an unknown variable", suggest(name, ours)))
    return problems


def find_differences(description: Description) -> list[Problem]:
    """Find cluster-wide variables that are not the same on every node."""
    problems = []
    hosts = list(description.variables)
    for name in CLUSTER_WIDE:
        first = description.variables[hosts[0]].get(name) if hosts else None
        others = [host for host in hosts[1:] if description.variables[host].get(name) != first]
        if others:
            found = f"differs between {hosts[0]} and {others[0]}"
            problems.append(Problem(name, found, "the cluster has one: define it in group_vars/all"))
    return problems


def is_template(value: Value) -> bool:
    """Whether a value is still a template: a default of a specification that only Ansible can work out."""
    return isinstance(value, str) and "{{" in value
