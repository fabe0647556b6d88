"""The key `routing` of the configuration: what is seen in a request, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tandem.router.config import values
from tandem.router.config.constraints import Between, Key, Means, NotEmpty, Reads, Unsupported
from tandem.router.config.values import Name, Text

_SELECTORS = "static and fusion are the algorithms of this router"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is told about a model. Only the sizes have an effect."""

    name: Name
    display_name: Text | None = None
    description: Text | None = None
    publisher: Text | None = None
    family: Text | None = None
    param_size: Text | None = None
    context_window_size: Annotated[int | None, Between(1)] = None
    max_output_tokens: Annotated[int | None, Between(1)] = None
    capabilities: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    modality: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordSignal:
    """Words in the request: whole words as they are written, or regular expressions (RE2) with method `regex`."""

    name: Name
    operator: Literal["AND", "OR", "NOR"]
    keywords: Annotated[tuple[Text, ...], NotEmpty()]
    case_sensitive: bool = False
    method: (
        Annotated[
            Literal["regex"],
            Unsupported(
                {
                    "bm25": "its scores depend on upstream's library; use an embeddings signal for likeness",
                    "ngram": "its scores depend on upstream's library; use an embeddings signal for likeness",
                }
            ),
        ]
        | None
    ) = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSignal:
    """Likeness of the request to the candidates, less its likeness to the negative ones."""

    name: Name
    threshold: Annotated[float, Between(0, 1)]
    candidates: Annotated[tuple[Text, ...], NotEmpty()]
    negative_candidates: tuple[Text, ...] = ()
    aggregation_method: Literal["max", "mean", "any"] = "max"
    query_modality: Annotated[
        Literal["text"], Unsupported(dict.fromkeys(("image", "audio"), "only text is embedded"))
    ] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSignal:
    """The length of the request in tokens; both limits belong to the range."""

    name: Name
    min_tokens: Annotated[int | None, Reads(values.tokens)] = None
    max_tokens: Annotated[int | None, Reads(values.tokens)] = None
    description: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is seen in a request."""

    keywords: tuple[KeywordSignal, ...] = ()
    embeddings: tuple[EmbeddingSignal, ...] = ()
    context: tuple[ContextSignal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A leaf (type and name of a signal), or an operator over conditions. AND over none always holds."""

    type: Annotated[
        Literal["keyword", "embedding", "context"] | None,
        Unsupported(
            dict.fromkeys(
                (
                    *(
                        "authz",
                        "classifier",
                        "complexity",
                        "conversation",
                        "domain",
                        "event",
                        "fact_check",
                        "jailbreak",
                    ),
                    *("input_modality", "kb", "language", "metadata", "modality", "pii", "preference", "projection"),
                    *("reask", "safety", "structure", "user_feedback"),
                ),
                "keyword, embedding and context are the signals of this router",
            )
        ),
    ] = None
    name: Name | None = None
    operator: Annotated[str | None, Reads(values.operator)] = None
    conditions: tuple[Condition, ...] = ()

    @property
    def is_leaf(self) -> bool:
        """Tell whether it names a signal."""
        return self.type is not None or self.name is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A model of a decision. Of several, `static` takes the first that can serve."""

    model: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisOverride:
    """What one member of a panel is asked with."""

    model: Name
    temperature: Annotated[float | None, Between(0)] = None
    max_completion_tokens: Annotated[int | None, Between(1)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """A panel answers, `model` judges and writes the answer. Defaults that depend on the panel are properties."""

    model: Annotated[Name, Means("the judge; upstream would silently take the first of the panel")]
    analysis_models: tuple[Name, ...] = ()
    analysis_mode: Literal["separate", "one_call", "none"] = "separate"
    analysis_overrides: tuple[AnalysisOverride, ...] = ()
    max_concurrent: Annotated[int | None, Between(1)] = None
    max_completion_tokens: Annotated[int | None, Between(1)] = None
    round_timeout_seconds: Annotated[int | None, Between(1, 86400)] = None
    min_successful_responses: Annotated[int | None, Between(1)] = None
    temperature: Annotated[float | None, Between(0)] = None
    include_analysis: bool = True
    include_intermediate_responses: bool = True
    on_error: Literal["skip", "fail"] = "skip"
    quorum_failure_policy: Literal["fail", "fallback"] = "fail"
    quorum_fallback_target: Name | None = None
    analysis_template: Text | None = None
    synthesis_template: Text | None = None
    judge_prompt_version: Literal["fusion-v1"] = "fusion-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """How the models of a decision are used."""

    type: Annotated[
        Literal["static", "fusion"],
        Unsupported(
            dict.fromkeys(
                (
                    *("automix", "confidence", "hybrid", "kmeans", "knn", "latency_aware", "mlp", "multi_factor"),
                    *("prompt", "ratings", "remom", "router_dc", "svm", "workflows"),
                ),
                _SELECTORS,
            )
        ),
    ]
    minimum_candidates: Annotated[int | None, Between(1)] = None
    fusion: Fusion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What upstream has no keys for, under `annotations.tandem`, which it leaves alone. None is no limit."""

    max_wall_seconds: Annotated[float | None, Between(0, 86400, least_included=False)] = None
    max_cost: Annotated[float | None, Between(0, least_included=False)] = None
    max_upstream_calls: Annotated[int | None, Between(1)] = None
    panel_grace_seconds: Annotated[float | None, Between(0, 86400)] = None
    max_waiting_requests: Annotated[int | None, Between(0)] = None
    max_kv_cache_usage: Annotated[float | None, Between(0, 1)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """Where limits are."""

    tandem: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to a request whose signals fulfil `rules`. The highest priority wins."""

    name: Name
    priority: int
    description: Text | None = None
    rules: Condition = Condition(operator="AND")
    model_refs: Annotated[tuple[ModelRef, ...], Key("modelRefs")] = ()
    algorithm: Algorithm = Algorithm(type="static")
    annotations: Annotations = Annotations()

    @property
    def fusion(self) -> Fusion | None:
        """Return the settings of fusion, where it is the algorithm."""
        return self.algorithm.fusion if self.algorithm.type == "fusion" else None

    @property
    def panel(self) -> tuple[str, ...]:
        """Return the members of the panel."""
        if self.fusion and self.fusion.analysis_models:
            return self.fusion.analysis_models
        return tuple(ref.model for ref in self.model_refs)

    @property
    def quorum(self) -> int:
        """Return how many members must answer."""
        return (self.fusion and self.fusion.min_successful_responses) or len(self.panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Signals, and what they decide."""

    model_cards: Annotated[tuple[ModelCard, ...], Key("modelCards")] = ()
    signals: Signals = Signals()
    decisions: tuple[Decision, ...] = ()
    strategy: Annotated[Literal["priority"], Unsupported({"confidence": "only priorities order decisions"})] = (
        "priority"
    )
