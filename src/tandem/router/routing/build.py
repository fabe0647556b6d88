"""Makes the routing of a configuration."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tandem.errors import TandemError
from tandem.router.routing import fetch as plain
from tandem.router.routing.embedder import EmbeddingFailed
from tandem.router.routing.observer import RoutingObserver, Silent
from tandem.router.routing.route import SignalRouting
from tandem.router.routing.trees import signals_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.router.config.settings import Config
    from tandem.router.routing.embedder import Embedder
    from tandem.router.routing.embeddings.semantic import SemanticSignals
    from tandem.router.routing.fetch import Fetch

#: For one request with the model of this router. It waits behind others.
LOCAL_TIMEOUT_SEC = 5.0
#: An endpoint that does not answer must not keep the router from starting.
START_WAIT_SEC = 5.0


async def build_routing(
    config: Config,
    environ: Mapping[str, str],
    fetch: Fetch | None = None,
    observer: RoutingObserver | None = None,
) -> SignalRouting:
    """Return the routing, ready to be asked. Raises TandemError for what the user must put right.

    Args:
        config: The configuration.
        environ: Where the key of the embeddings' endpoint is.
        fetch: How to reach that endpoint; by default with a connection for each request.
        observer: Who is told of what is measured.
    """
    observer = observer or Silent()
    semantic = await _semantic(config, environ, fetch or plain.fetch, observer) if _needs_embeddings(config) else None
    return SignalRouting(config, semantic, observer)


def _needs_embeddings(config: Config) -> bool:
    return any(kind == "embedding" for one in config.routing.decisions for kind, _ in signals_of(one.rules))


async def _semantic(
    config: Config, environ: Mapping[str, str], fetch: Fetch, observer: RoutingObserver
) -> SemanticSignals:
    endpoint = config.general.model_catalog.embeddings.semantic.endpoint
    embedder: Embedder
    try:
        # A node whose configuration has no embeddings needs none of these packages.
        from tandem.router.routing.embeddings.semantic import SemanticSignals

        if endpoint:
            from tandem.router.routing.embeddings.remote import RemoteEmbedder

            embedder = RemoteEmbedder(endpoint, environ, fetch)
        else:
            from tandem.router.routing.embeddings.local import LocalEmbedder, LocalModel

            embedder = LocalEmbedder(await asyncio.to_thread(LocalModel), LOCAL_TIMEOUT_SEC)
    except ModuleNotFoundError as error:
        raise TandemError(
            f"the configuration has embedding signals, which need {error.name}, which is not installed here: "
            "install tandem with its extra, tandem[router-embeddings]"
        ) from error
    except EmbeddingFailed as error:
        raise TandemError(str(error)) from error
    signals = SemanticSignals(config.routing.signals.embeddings, embedder, observer)
    await signals.start(START_WAIT_SEC if endpoint else None)
    return signals
