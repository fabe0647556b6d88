"""What is to be checked: the variables of an inventory, seen without Ansible."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tandem.inventory.specs import Option


@dataclass(frozen=True)
class Source:
    """What lies at the path of a model on the control node: its config.json, or why that cannot be had."""

    config: Mapping[str, Any] | None = None
    fault: str = ""


@dataclass(frozen=True)
class LockFile:
    """What a lock file on the control node holds, or why it cannot be read."""

    text: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Description:
    """A cluster as the inventory describes it.

    ``variables`` maps a host to its variables, ``specs`` a role to its options, ``sources`` the path of a model to what
    lies there, ``locks`` the path of a lock to the same.
    """

    variables: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, Sequence[str]]
    specs: Mapping[str, Mapping[str, Option]]
    sources: Mapping[str, Source] = field(default_factory=dict)
    locks: Mapping[str, LockFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """The cluster-wide variables after the check of their form: each is of the right type, or None."""

    links: Sequence[Mapping[str, Any]]
    link: str | None
    models: Sequence[Mapping[str, Any]]
    engines: Sequence[Mapping[str, Any]]
    ray_head: str | None
    settings: Mapping[str, Any]
    groups: Mapping[str, Sequence[str]]
    sources: Mapping[str, Source]
    #: The variables of role ``model_router`` on each host of the group router, in the right form.
    routers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def hosts_of(self, group: str) -> Sequence[str]:
        """Return the hosts of a group; none if there is no such group."""
        return self.groups.get(group, [])

    def ray_engines(self) -> list[Mapping[str, Any]]:
        """Return the engines whose ranks Ray starts."""
        return [engine for engine in self.engines if engine["executor"] == "ray"]
