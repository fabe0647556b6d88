"""The parts of the router, put together: the one place where their factories are called."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.router.fusion.build import build_fuse
from tandem.router.routing.build import build_routing
from tandem.router.serve.app import App, Settings, create_app
from tandem.router.serve.metrics import Metrics
from tandem.router.serve.part_metrics import FusionMetrics, RoutingMetrics
from tandem.router.upstream.build import build_upstream
from tandem.router.upstream.keys import references

if TYPE_CHECKING:
    from tandem.router.routing.route import SignalRouting
    from tandem.router.serve.log import Log
    from tandem.router.upstream.client import HttpUpstream
    from tandem.router.upstream.keys import Keys


@dataclass(slots=True)
class Parts:
    """What was built, and has to be closed."""

    app: App
    upstream: HttpUpstream
    routing: SignalRouting

    async def close(self) -> None:
        """Close everything, in the order in which parts use each other."""
        await self.routing.close()
        await self.upstream.close()


async def compose(settings: Settings, keys: Keys, log: Log) -> Parts:
    """Return the application of a configuration, its backends checked once. Raises TandemError."""
    metrics = Metrics(log)
    upstream = build_upstream(settings.config, keys, observer=metrics)
    metrics.watch(upstream.groups, asyncio.get_running_loop().time)
    fuse = build_fuse(settings.config, upstream, FusionMetrics(metrics, log))
    await upstream.start()
    try:
        values = {one.variable: keys.find(one.variable) or "" for one in references(settings.config)}
        routing = await build_routing(settings.config, values, observer=RoutingMetrics(metrics))
    except BaseException:
        await upstream.close()
        raise
    app = create_app(settings, upstream=upstream, routing=routing, fuse=fuse, metrics=metrics, log=log)
    return Parts(app, upstream, routing)
