"""The parts of the router, put together: the one place where their factories are called."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.router.calls import Refused
from tandem.router.serve.app import App, Settings, create_app
from tandem.router.serve.metrics import Metrics
from tandem.router.serve.minimal import ByName
from tandem.router.upstream.build import build_upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tandem.router.calls import FusionEvent, Route
    from tandem.router.serve.log import Log
    from tandem.router.upstream.client import HttpUpstream
    from tandem.router.upstream.keys import Keys


@dataclass(slots=True)
class Parts:
    """What was built, and has to be closed."""

    app: App
    upstream: HttpUpstream

    async def close(self) -> None:
        """Close everything, in the order in which parts use each other."""
        # Routing has connections of its own: `await routing.close()` comes here.
        await self.upstream.close()


async def compose(settings: Settings, keys: Keys, log: Log) -> Parts:
    """Return the application of a configuration, its backends checked once. Raises TandemError."""
    metrics = Metrics(log)
    upstream = build_upstream(settings.config, keys, observer=metrics)
    metrics.watch(upstream.groups, asyncio.get_running_loop().time)
    # `await build_routing(...)` and `build_fuse(...)` come here; they can add to `metrics.registry`.
    routing, fuse = ByName(settings.config), _NoFusion()
    await upstream.start()
    return Parts(
        create_app(settings, upstream=upstream, routing=routing, fuse=fuse, metrics=metrics, log=log), upstream
    )


class _NoFusion:
    """Refuses to fuse."""

    async def run(
        self,
        route: Route,  # noqa: ARG002 - see Fuse
        body: Mapping[str, object],  # noqa: ARG002
        *,
        stream: bool,  # noqa: ARG002
    ) -> AsyncIterator[FusionEvent]:
        """See Fuse."""
        raise Refused(501, "not_implemented", "This router does not fuse answers yet.")
        yield  # makes it a generator
