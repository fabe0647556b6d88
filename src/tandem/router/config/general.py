"""The key `global` of the configuration: virtual names, what fusion and embeddings are set up with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tandem.router.config import values
from tandem.router.config.constraints import Between, Reads, Unsupported
from tandem.router.config.values import Address, Name


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """Names that mean "choose for me", and what /v1/models lists."""

    auto_model_name: Name = "MoM"
    auto_model_names: tuple[Name, ...] | None = None
    #: Upstream leaves them out unless this is true. Here it takes a plain `false`: clients choose from the list.
    include_config_models_in_list: bool = True
    strategy: Annotated[Literal["priority"], Unsupported({"confidence": "only priorities order decisions"})] = (
        "priority"
    )
    config_source: Annotated[Literal["file"], Unsupported({"kubernetes": "the file is all that is read"})] = "file"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the virtual names."""
        if self.auto_model_names is not None:
            return self.auto_model_names
        return ("vllm-sr/auto", "auto", self.auto_model_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Whether /metrics answers."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Observability:
    """What can be seen from outside."""

    metrics: Metrics = Metrics()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Services beside routing."""

    observability: Observability = Observability()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Upstream's stores, none of which exists here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionNames:
    """Virtual names that only consider decisions with fusion."""

    model_names: tuple[Name, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names; an empty list means the default, as upstream has it."""
        return self.model_names or ("vllm-sr/fusion",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looper:
    """Calls that fusion makes. Only upstream needs `endpoint`, where it calls itself."""

    endpoint: Annotated[Address | None, Reads(values.url)] = None
    timeout_seconds: Annotated[int, Between(1, 86400)] = 30
    max_response_bytes_mb: Annotated[int, Between(1, 1024)] = 32
    fusion: FusionNames = FusionNames()


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrations:
    """What fusion is set up with."""

    looper: Looper = Looper()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingConfig:
    """Which kind of embedding model: one behind an API, or (without an endpoint) the router's own."""

    backend: Annotated[
        Literal["openai_compatible"],
        Unsupported(dict.fromkeys(("candle", "onnx", "openvino"), "leave it out for the model of this router")),
    ]
    model_type: Literal["remote"] = "remote"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingEndpoint:
    """An API with /embeddings."""

    base_url: Annotated[Address, Reads(values.url, Address(None, "", None))]
    model: Name
    api_key_env: Annotated[str | None, Reads(values.variable)] = None
    timeout_seconds: Annotated[int, Between(1, 3600)] = 10
    max_retries: Annotated[int, Between(0, 5)] = 0
    max_response_bytes: Annotated[int, Between(1, 1 << 30)] = 1 << 24
    dimensions: Annotated[int | None, Between(1, 65536)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic:
    """What embeds requests and candidates."""

    embedding_config: EmbeddingConfig | None = None
    endpoint: EmbeddingEndpoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Embedding models by use."""

    semantic: Semantic = Semantic()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCatalog:
    """Models that routing itself uses."""

    embeddings: Embeddings = Embeddings()


@dataclass(frozen=True, slots=True, kw_only=True)
class General:
    """The key `global`."""

    router: RouterSettings = RouterSettings()
    services: Services = Services()
    stores: Stores = Stores()
    integrations: Integrations = Integrations()
    model_catalog: ModelCatalog = ModelCatalog()
