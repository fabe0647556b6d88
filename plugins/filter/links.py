"""Filters over ``tandem.links``: what ends where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from tandem import link_verification, links
from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Callable


def _explained(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn our error into the one whose message Ansible shows alone."""

    def filter_function(*arguments: object, **options: object) -> object:
        try:
            return function(*arguments, **options)
        except TandemError as error:
            raise AnsibleFilterError(str(error)) from error

    return filter_function


class FilterModule:
    """Names under which Ansible finds the functions."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "tandem_links_of": _explained(links.links_of),
            "tandem_link_address": _explained(links.link_address),
            "tandem_link_interface": _explained(links.link_interface),
            "tandem_link_interfaces": _explained(links.link_interfaces),
            "tandem_link_peers": _explained(links.link_peers),
            "tandem_link_transport": _explained(links.link_transport),
            "tandem_link_failures": link_verification.failures,
            "tandem_link_report": link_verification.report,
        }
