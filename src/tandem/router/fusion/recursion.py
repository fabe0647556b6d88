"""A fusion inside of a fusion multiplies calls without end; it is recognised by a header and refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tandem.router.calls import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Goes out with every call that a fusion makes.
DEPTH_HEADER = "x-tandem-fusion-depth"
#: The same of upstream's router.
_UPSTREAM_HEADER = "x-vsr-fusion-depth"
OUTGOING = {DEPTH_HEADER: "1"}


def refuse_recursion(headers: Mapping[str, str]) -> None:
    """Raise Refused for a request that a fusion sent: a backend of its panel is this router, or leads back to it.

    The names of headers may be in any case.
    """
    found = {DEPTH_HEADER, _UPSTREAM_HEADER}.intersection(name.lower() for name in headers)
    if found:
        raise Refused(
            400,
            "fusion_recursion",
            f"this request comes from a fusion ({min(found)}); a panel, judge or fallback model must not be served "
            "by a router",
        )
