"""All checks of a description, together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tandem.front.problems import find_router_problems
from tandem.inventory.description import Cluster, Description
from tandem.inventory.engines import find_engine_problems
from tandem.inventory.environment import find_environment_problems
from tandem.inventory.host import find_host_problems
from tandem.inventory.links import find_link_problems
from tandem.inventory.models import find_model_problems
from tandem.inventory.ports import find_port_problems
from tandem.inventory.problems import Problem, join_words
from tandem.inventory.rocm import find_rocm_problems
from tandem.inventory.specs import conform, describe
from tandem.inventory.variables import (
    CLUSTER_WIDE,
    find_differences,
    find_unknown,
    is_template,
    known_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GROUPS = {
    "nodes": "all machines",
    "linked": "machines with an end of a link",
    "serving": "machines that hold ranks",
}
#: ray_head is needed only if Ray is used, which the engines tell.
#: Variables of the role that each router has for itself.
ROUTER = "model_router_"
REQUIRED = ("link_links", "tandem_link", "vllm_engine_engines", "model_weights_models")


def find_problems(description: Description) -> list[Problem]:
    """Return everything that is wrong with a description, each thing once."""
    problems = find_unknown(description) + find_differences(description) + list(_check_groups(description))
    problems += _check_forms(description)
    cluster = read_cluster(description)
    problems += find_link_problems(cluster)
    problems += find_model_problems(cluster)
    problems += find_engine_problems(cluster)
    problems += find_port_problems(cluster)
    problems += find_router_problems(cluster)
    problems += find_environment_problems(description)
    problems += find_rocm_problems(description)
    problems += find_host_problems(description)
    return list(dict.fromkeys(problems))


def read_cluster(description: Description) -> Cluster:
    """Return the cluster-wide variables in the right form, with defaults; what is wrong is None."""
    known = known_options(description.specs)
    seen: Mapping[str, Any] = next(iter(description.variables.values()), {})
    ignored: list[Problem] = []
    settings = {}
    for name, option in known.items():
        value = seen.get(name, option.get("default"))
        settings[name] = value if value is None or is_template(value) else conform(name, value, option, ignored)
    return Cluster(
        links=settings.get("link_links") or [],
        link=settings.get("tandem_link"),
        models=settings.get("model_weights_models") or [],
        engines=settings.get("vllm_engine_engines") or [],
        ray_head=settings.get("ray_head"),
        settings=settings,
        groups=description.groups,
        sources=description.sources,
        routers=_read_routers(description),
    )


def _read_routers(description: Description) -> dict[str, dict[str, Any]]:
    """Return what each router is set up with; clouds that lack their name or address are left out."""
    options = {name: option for name, option in known_options(description.specs).items() if name.startswith(ROUTER)}
    ignored: list[Problem] = []
    routers = {}
    for host in description.groups.get("router", []):
        own = description.variables.get(host, {})
        values = {name: own.get(name, option.get("default")) for name, option in options.items()}
        settings = {
            name: value if value is None or is_template(value) else conform(name, value, options[name], ignored)
            for name, value in values.items()
        }
        clouds = settings.get("model_router_cloud_backends")
        settings["model_router_cloud_backends"] = clouds and [c for c in clouds if c["name"] and c["base_url"]]
        routers[host] = settings
    return routers


def _check_forms(description: Description) -> list[Problem]:
    """Check each known variable of each host against its specification; report a cluster-wide one once."""
    known = known_options(description.specs)
    problems: list[Problem] = []
    for place, variables in enumerate(description.variables.values()):
        for name, option in known.items():
            if name in CLUSTER_WIDE and place > 0:
                continue
            if variables.get(name) is not None:
                conform(name, variables[name], option, problems)
            elif name in REQUIRED:
                problems.append(Problem(name, "is missing", f"add it: {describe(option)}"))
    return problems


def _check_groups(description: Description) -> Iterator[Problem]:
    for group, words in GROUPS.items():
        if not description.groups.get(group):
            yield Problem(f"group {group}", "is missing or empty", f"list {words} in the inventory's groups.yml")
    nodes = set(description.groups.get("nodes", []))
    for group in ("linked", "serving", "ray", "router"):
        strangers = [host for host in description.groups.get(group, []) if host not in nodes]
        if strangers and nodes:
            yield Problem(f"group {group}", f"{join_words(strangers)} is not in the group nodes", "add it there too")


def format_problems(problems: Sequence[object], where: str = "the inventory") -> str:
    """Return the problems as a message of one line each."""
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    return "\n".join([f"{count} with {where}; nothing was changed:", *(f"- {problem}" for problem in problems)])
