"""Filters over ``tandem.engine``: the files of one rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tandem.engine import placement, settings
from tandem.links import link_address


def _addresses(engine: Mapping[str, Any], links: Sequence[Mapping[str, Any]], link: str) -> dict[str, str]:
    return {node: link_address(links, link, node) for node in engine["nodes"]}


def _ports(engine: Mapping[str, Any], engines: Sequence[Mapping[str, Any]], group: int, master: int) -> settings.Ports:
    """Engines that share a node must not share a port: the place in the list tells them apart."""
    place = [entry["name"] for entry in engines].index(engine["name"])
    return settings.Ports(group=group + place, master=master + place)


def serve_settings(
    engine: Mapping[str, Any],
    node: str,
    *,
    engines: Sequence[Mapping[str, Any]],
    links: Sequence[Mapping[str, Any]],
    link: str,
    model_directory: str,
    group_port: int,
    master_port: int,
    drain_timeout_sec: int,
) -> dict[str, Any]:
    """Return what ``vllm serve --config`` reads for this engine on this node."""
    return settings.serve_settings(
        engine,
        node,
        addresses=_addresses(engine, links, link),
        model_directory=model_directory,
        ports=_ports(engine, engines, group_port, master_port),
        drain_timeout_sec=drain_timeout_sec,
    )


def rank_settings(
    engine: Mapping[str, Any],
    node: str,
    *,
    engines: Sequence[Mapping[str, Any]],
    links: Sequence[Mapping[str, Any]],
    link: str,
    group_port: int,
    master_port: int,
    **rest: Any,  # noqa: ANN401 - handed on as it is
) -> dict[str, Any]:
    """Return what ``tandem rank serve`` reads for this engine on this node."""
    return settings.rank_settings(
        engine,
        node,
        addresses=_addresses(engine, links, link),
        ports=_ports(engine, engines, group_port, master_port),
        **rest,
    )


def addresses_on(nodes: Sequence[str], links: Sequence[Mapping[str, Any]], link: str) -> list[str]:
    """Return the address of each node on a link."""
    return [link_address(links, link, node) for node in nodes]


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_addresses_on": addresses_on,
            "tandem_engines_on": settings.engines_on,
            "tandem_engine_names_on": settings.engine_names_on,
            "tandem_placement_problems": placement.placement_problems,
            "tandem_serve_settings": serve_settings,
            "tandem_rank_settings": rank_settings,
        }
