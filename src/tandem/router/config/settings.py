"""The configuration: upstream's file (version v0.3), as far as this router supports it.

Type hints are the schema. `refused.py` says why the other keys of upstream are not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tandem.router.config.constraints import Key, NotEmpty
from tandem.router.config.general import General
from tandem.router.config.providers import Listener, Providers
from tandem.router.config.routing import Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole file."""

    version: Literal["v0.3"]
    listeners: Annotated[tuple[Listener, ...], NotEmpty()]
    providers: Providers
    routing: Routing = field(default_factory=Routing)
    general: Annotated[General, Key("global")] = field(default_factory=General)
