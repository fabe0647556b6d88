"""What /v1/models lists, and which models must be there for /ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tandem.router.config.routing import Decision
    from tandem.router.config.settings import Config


def models(config: Config) -> dict[str, object]:
    """Return the list of models: virtual names first, then those of the configuration unless it leaves them out."""
    names = list(config.general.router.names)
    if any(decision.fusion for decision in config.routing.decisions):
        names += config.general.integrations.looper.fusion.names
    if config.general.router.include_config_models_in_list:
        names += [model.name for model in config.providers.models]
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "tandem"} for name in dict.fromkeys(names)],
    }


def missing(config: Config, can_serve: Callable[[str], bool]) -> list[str]:
    """Return the models without which some request of the configuration cannot be served."""
    found = [name for decision in config.routing.decisions for name in _missing(decision, can_serve)]
    default = config.providers.defaults.model
    if default is not None and not can_serve(default):
        found.append(default)
    if not config.routing.decisions and default is None:
        found = [model.name for model in config.providers.models if not can_serve(model.name)]
    return sorted(set(found))


def _missing(decision: Decision, can_serve: Callable[[str], bool]) -> Iterator[str]:
    down = [name for name in decision.panel if not can_serve(name)]
    if decision.fusion is not None:
        if len(decision.panel) - len(down) < decision.quorum:
            yield from down
        if not can_serve(decision.fusion.model):
            yield decision.fusion.model
    elif len(down) == len(decision.panel):  # of several, any will do
        yield from down
