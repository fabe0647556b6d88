"""Listeners and providers: where clients connect, and where models are served. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tandem.router.config import values
from tandem.router.config.constraints import Between, NotEmpty, Reads
from tandem.router.config.values import Address, FromEnvironment, Name, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where clients connect. With `api_keys` each request must carry one of them."""

    name: Name
    address: Annotated[str, Reads(values.host, "")]
    port: Annotated[int, Between(1, 65535)]
    timeout: Seconds = 300.0
    api_keys: tuple[Annotated[FromEnvironment, Reads(values.secret, FromEnvironment(""))], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRef:
    """One server of a model. A weight of 0 keeps requests away from it."""

    name: Name | None = None
    endpoint: Annotated[Address | None, Reads(values.endpoint)] = None
    base_url: Annotated[Address | None, Reads(values.url)] = None
    protocol: Literal["http", "https"] = "http"
    provider: Annotated[str, Reads(values.provider)] = "vllm"
    weight: Annotated[int, Between(0, 1_000_000)] = 1
    api_key: Annotated[FromEnvironment | None, Reads(values.secret)] = None
    api_key_env: Annotated[str | None, Reads(values.variable)] = None
    auth_header: Annotated[str, Reads(values.header_name)] = "Authorization"
    auth_prefix: Annotated[str, Reads(values.header_prefix)] = "Bearer"
    extra_headers: dict[str, Annotated[str | FromEnvironment, Reads(values.header)]] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        """Return where it is, with scheme and port."""
        found = self.base_url or self.endpoint or Address(None, "", None)
        scheme = found.scheme or self.protocol
        return Address(scheme, found.host, found.port or values.default_port(scheme), found.path)

    @property
    def key(self) -> FromEnvironment | None:
        """Return where its key is, if it needs one."""
        return FromEnvironment(self.api_key_env) if self.api_key_env else self.api_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """Money for a million tokens."""

    currency: Annotated[str, Reads(values.currency)] = "USD"
    prompt_per_1m: Annotated[float, Between(0)] = 0.0
    completion_per_1m: Annotated[float, Between(0)] = 0.0
    cached_input_per_1m: Annotated[float, Between(0)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How the backends of a model are balanced, retried (before the first byte only), ejected and checked."""

    lb_policy: Literal["round_robin", "least_request"] = "round_robin"
    retry_count: Annotated[int, Between(0, 5)] = 0
    retry_on: Annotated[tuple[str, ...], Reads(values.retry_conditions, ())] = ("connect-failure", "refused-stream")
    consecutive_5xx: Annotated[int, Between(0)] = 0
    base_ejection_time: Seconds = 30.0
    max_ejection_percent: Annotated[int, Between(0, 100)] = 50
    health_check_path: Annotated[str | None, Reads(values.url_path)] = None
    health_check_interval: Seconds = 10.0
    health_check_timeout: Seconds = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that clients can name; `provider_model_id` is its name at the backends."""

    name: Name
    provider_model_id: Name | None = None
    backend_refs: Annotated[tuple[BackendRef, ...], NotEmpty()]
    pricing: Pricing | None = None
    reliability: Reliability = Reliability()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDefaults:
    """The model for requests that no decision takes."""

    model: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The models, and where they are served."""

    defaults: ProviderDefaults = ProviderDefaults()
    models: Annotated[tuple[Model, ...], NotEmpty()]
