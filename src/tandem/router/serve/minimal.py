"""Routing by names alone, until the signals and decisions are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tandem.router.calls import Refused, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.router.config.settings import Config


class ByName:
    """Routing: physical names pass through, virtual ones lead to the default model."""

    def __init__(self, config: Config) -> None:
        self._models = {model.name for model in config.providers.models}
        self._default = config.providers.defaults.model
        self._virtual = set(config.general.router.names)
        self._fusion = set(config.general.integrations.looper.fusion.names)

    async def route(self, body: Mapping[str, object], path: str) -> Route:  # noqa: ARG002 - see Routing
        """See Routing."""
        name = body.get("model")
        if isinstance(name, str) and name in self._models:
            return Route(models=(name,))
        if isinstance(name, str) and name in self._fusion:
            raise Refused(501, "not_implemented", "This router does not fuse answers yet.")
        if name is None or name in self._virtual:
            if self._default is None:
                raise Refused(400, "no_decision", "No decision takes this request, and there is no default model.")
            return Route(models=(self._default,))
        raise Refused(404, "model_not_found", f"There is no model {str(name)[:100]!r}; GET /v1/models lists them.")
