"""Filters over ``tandem.front``: the router's configuration and keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tandem.front import backends, config, keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def router_envoy(text: str, tls: bool) -> dict[str, str]:
    """Return Envoy's files: its configuration as upstream's tool wrote it, made fit to stand in front, and its code."""
    from tandem.router.envoy import guard

    document, code = guard(text, tls=tls)
    return {"envoy.json": json.dumps(document, indent=2) + "\n", "keys.lua": code}


def guarded_ports(
    ports: Sequence[str | int],
    engines: Sequence[Mapping[str, Any]] | None,
    links: Sequence[Mapping[str, Any]],
    more: Sequence[int] = (),
) -> list[str]:
    """Return the ports that belong on links: those given, and those of APIs that listen there."""
    return [*map(str, ports), *map(str, more), *backends.ports_on_links(engines or [], links)]


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_guarded_ports": guarded_ports,
            "tandem_router_config": config.router_config,
            "tandem_router_envoy": router_envoy,
            "tandem_router_keys": keys.describe,
        }
