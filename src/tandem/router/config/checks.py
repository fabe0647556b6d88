"""What the types cannot say: names that must exist or be unique, keys, weights, ranges, expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import re2

from tandem.inventory.problems import suggest
from tandem.router.config.values import FromEnvironment, describe, is_ip

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable

    from tandem.router.config.general import General
    from tandem.router.config.problems import Path, Problems
    from tandem.router.config.providers import BackendRef, Listener, Model
    from tandem.router.config.routing import KeywordSignal, Routing, Signals
    from tandem.router.config.settings import Config

_CREDENTIAL_HEADERS = ("authorization", "proxy-authorization", "cookie")
_CREDENTIAL_WORDS = ("api-key", "api_key", "apikey", "token", "secret", "password", "-key")
#: Looking for a similar one among more names takes too long, and listing them helps nobody.
_MAX_SUGGESTIONS = 60
#: Set for each request by HTTP itself.
_TRANSPORT_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade")


def check(config: Config, problems: Problems) -> None:
    """Note everything in `config` that does not fit together."""
    _check_listeners(config.listeners, problems)
    models = config.providers.models
    unique(("providers", "models"), (model.name for model in models), problems)
    for index, model in enumerate(models):
        _check_model(model, ("providers", "models", index), problems)
    _check_currencies(models, problems)
    names = {model.name for model in models if model.name}
    if config.providers.defaults.model is not None:
        known(("providers", "defaults", "model"), config.providers.defaults.model, names, problems)
    _check_cards(config.routing, names, problems)
    _check_signals(config.routing.signals, problems)
    _check_virtual_names(config.general, [model.name for model in models], problems)
    _check_embeddings(config.general, problems)


def unique(path: Path, names: Iterable[str], problems: Problems, key: str | None = "name") -> None:
    """Note each name that was there before."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name and name in seen:
            place = (*path, index) if key is None else (*path, index, key)
            problems.add(place, f"{describe(name)} again (also at position {seen[name]})", "give each its own name")
        seen.setdefault(name, index)


def known(path: Path, name: str, names: Collection[str], problems: Problems, *, what: str = "model") -> bool:
    """Tell whether a name is known, and note it if not. An empty name was noted before."""
    if name and name not in names:
        remedy = suggest(name, names) if len(names) <= _MAX_SUGGESTIONS else "name one that exists"
        problems.add(path, f"the unknown {what} {describe(name)}", remedy)
    return bool(name) and name in names


def _check_listeners(listeners: tuple[Listener, ...], problems: Problems) -> None:
    unique(("listeners",), (listener.name for listener in listeners), problems)
    seen: dict[Hashable, int] = {}
    for index, listener in enumerate(listeners):
        place = (listener.address, listener.port)
        if all(place) and place in seen:
            problems.add(
                ("listeners", index, "port"), f"{listener.port} again (also at position {seen[place]})", "use another"
            )
        seen.setdefault(place, index)
        unique(("listeners", index, "api_keys"), (key.variable for key in listener.api_keys), problems, key=None)


def _check_model(model: Model, path: Path, problems: Problems) -> None:
    backends = (*path, "backend_refs")
    unique(backends, (backend.name or "" for backend in model.backend_refs), problems)
    for index, backend in enumerate(model.backend_refs):
        _check_backend(backend, (*backends, index), problems)
    _check_alike(model, backends, problems)
    if model.backend_refs and not any(backend.weight for backend in model.backend_refs):
        problems.add(
            (*backends, 0, "weight"), "no backend with a weight above 0", "give one a weight, or take the model out"
        )


def _check_backend(backend: BackendRef, path: Path, problems: Problems) -> None:
    places = [key for key in ("endpoint", "base_url") if (*path, key) in problems.lines]
    if not places:
        problems.add(path, "neither endpoint nor base_url", "add endpoint: host:port, or base_url: a URL")
    elif len(places) > 1:
        problems.add((*path, "endpoint"), "endpoint beside base_url", "keep one of them")
    if backend.address.scheme == "https" and is_ip(backend.address.host):
        found = "https to an IP address"
        problems.add((*path, *places[:1]), found, "write the host name that its certificate has")
    if backend.api_key and backend.api_key_env:
        problems.add((*path, "api_key"), "api_key beside api_key_env", "keep one of them")
    for name, value in backend.extra_headers.items():
        place, lower = (*path, "extra_headers", name), name.lower()
        secret = lower in _CREDENTIAL_HEADERS or any(word in lower for word in _CREDENTIAL_WORDS)
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            problems.add(place, "what cannot be the name of a header", "write letters, digits and -")
        elif lower in _TRANSPORT_HEADERS:
            problems.add(place, "a header that HTTP sets itself", "remove it")
        elif secret and not isinstance(value, FromEnvironment):
            problems.add(place, "a literal key", "keep it in the environment and write ${NAME}")
        elif lower == backend.auth_header.lower() and backend.key:
            problems.add(place, "the header that the key is sent in", "remove it, or the key")


def _check_alike(model: Model, path: Path, problems: Problems) -> None:
    """Note backends of one model that upstream cannot serve as one: Envoy chooses after the request is made."""
    if problems.below(path):
        return
    first, *others = [_route(backend) for backend in model.backend_refs] or [{}]
    for index, other in enumerate(others, start=1):
        if differing := [what for what, value in other.items() if value != first[what]]:
            found = f"a backend unlike the first ({', '.join(differing)})"
            problems.add((*path, index), found, "make it a model of its own")


def _route(backend: BackendRef) -> dict[str, object]:
    address = backend.address
    return {
        "provider": backend.provider,
        "scheme": address.scheme,
        "name or IP address": is_ip(address.host),
        "path": address.path,
        "host of the certificate": address.host if address.scheme == "https" else "",
        "key": backend.key,
        "auth_header": backend.auth_header,
        "auth_prefix": backend.auth_prefix,
        "extra_headers": backend.extra_headers,
    }


def _check_currencies(models: tuple[Model, ...], problems: Problems) -> None:
    priced = [(index, model.pricing.currency) for index, model in enumerate(models) if model.pricing]
    for index, currency in priced:
        if currency != priced[0][1]:
            place = ("providers", "models", index, "pricing", "currency")
            problems.add(place, f"{currency} beside {priced[0][1]}", "price all models in one currency")


def _check_cards(routing: Routing, names: set[str], problems: Problems) -> None:
    unique(("routing", "modelCards"), (card.name for card in routing.model_cards), problems)
    for index, card in enumerate(routing.model_cards):
        known(("routing", "modelCards", index, "name"), card.name, names, problems)


def _check_signals(signals: Signals, problems: Problems) -> None:
    path: Path = ("routing", "signals")
    for family in ("keywords", "embeddings", "context"):
        unique((*path, family), (signal.name for signal in getattr(signals, family)), problems)
    for index, signal in enumerate(signals.keywords):
        _check_keywords(signal, (*path, "keywords", index, "keywords"), problems)
    for index, context in enumerate(signals.context):
        place = (*path, "context", index)
        if not any((*place, key) in problems.lines for key in ("min_tokens", "max_tokens")):
            problems.add(place, "neither min_tokens nor max_tokens", "add one of them")
        elif None not in (context.min_tokens, context.max_tokens) and context.min_tokens > context.max_tokens:  # type: ignore[operator]
            found = f"min_tokens {context.min_tokens} above max_tokens {context.max_tokens}"
            problems.add((*place, "min_tokens"), found, "exchange them")


def _check_keywords(signal: KeywordSignal, path: Path, problems: Problems) -> None:
    if signal.method != "regex":
        return
    options = re2.Options()
    options.log_errors = False
    for index, keyword in enumerate(signal.keywords):
        try:
            re2.compile(keyword, options)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
            problems.add((*path, index), f"what is not a regular expression of RE2 ({reason})", "correct it")


def _check_virtual_names(general: General, models: list[str], problems: Problems) -> None:
    router: Path = ("global", "router", "auto_model_names")
    fusion: Path = ("global", "integrations", "looper", "fusion", "model_names")
    fusion_names = general.integrations.looper.fusion.names
    for path, names, others in ((router, general.router.names, fusion_names), (fusion, fusion_names, ())):
        unique(path, names, problems, key=None)
        for index, name in enumerate(names):
            if name and name in others:
                problems.add((*path, index), f"{describe(name)}, which is a name of fusion", "use another name")
    for index, model in enumerate(models):
        if model and model in (*general.router.names, *fusion_names):
            problems.add(
                ("providers", "models", index, "name"),
                f"{describe(model)}, which is a virtual name",
                "use another name",
            )


def _check_embeddings(general: General, problems: Problems) -> None:
    path: Path = ("global", "model_catalog", "embeddings", "semantic")
    semantic = general.model_catalog.embeddings.semantic
    if semantic.endpoint and not semantic.embedding_config:
        # Upstream reads the endpoint only then, and would use a model of its own without a word.
        problems.add(path, "an endpoint without a backend", "add embedding_config: {backend: openai_compatible}")
    if semantic.embedding_config and not semantic.endpoint:
        problems.add(path, "a backend without an endpoint", "add endpoint: {base_url: ..., model: ...}")
