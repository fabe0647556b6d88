"""Keys of upstream's file that this router does not support, each with the reason. Nothing of upstream is ignored.

A key whose value asks for nothing is accepted: one of the values here (a tuple is a list), and for "off" what is
switched off (enabled: false), which upstream's own router needs to hear.
"""

from __future__ import annotations

from tandem.router.config import general, providers, routing, settings
from tandem.router.config.decode import Refusal

_OFF = ("off",)
_EMPTY = ((),)
_ENVOY = Refusal("it is about Envoy, which is not part of this router")
_CATALOG = Refusal("upstream's catalogue of models is not part of this router")
_NO_CLASSIFIER = Refusal("its classifiers are not part of this router")
_NO_SIGNAL = Refusal(_NO_CLASSIFIER.reason, _EMPTY)
_CARD = Refusal("nothing is done with it")
_REASONING = Refusal("requests are passed on as they are; clients ask for reasoning themselves")
_IMAGES = Refusal("only text is embedded")
_UNSURE = Refusal("signals either hold or do not")
_FUZZY = Refusal("words match exactly")
_LEARNING = Refusal("decisions do not change by themselves", _OFF)
_ALGORITHM = Refusal("static and fusion are the algorithms of this router")
_LOCAL_MODEL = Refusal("give an endpoint, or leave it out for the model of this router")
_FALLBACK = Refusal("a decision names all its models itself")

REFUSALS: dict[type, dict[str, Refusal]] = {
    settings.Config: {
        "evaluation": Refusal("benchmarks do not choose models here"),
        "entrypoints": Refusal("there is one set of decisions", _EMPTY),
        "recipes": Refusal("there is one set of decisions", _EMPTY),
        "setup": Refusal("it belongs to upstream's dashboard"),
    },
    providers.ProviderDefaults: {"reasoning_effort": _REASONING},
    providers.Model: {
        "catalog": _CATALOG,
        "reasoning": _REASONING,
        "api_format": Refusal("backends speak OpenAI's protocol", ("openai",)),
        "external_model_ids": Refusal("provider_model_id is the one name at the backends"),
    },
    providers.BackendRef: {
        "api_version": Refusal("backends speak OpenAI's protocol, which has none"),
        "chat_path": Refusal("paths are OpenAI's; a prefix belongs to base_url"),
    },
    providers.Pricing: {"cache_write_per_1m": Refusal("answers do not say how many tokens were written to a cache")},
    routing.Routing: {
        "candidate_requirements": _CATALOG,
        "data_policy": Refusal("nothing is recorded"),
        "model_bindings": _NO_CLASSIFIER,
        "projections": Refusal("decisions are made of signals alone"),
        "fallback": _FALLBACK,
    },
    routing.ModelCard: dict.fromkeys(
        ("presentation", "distribution", "revision", "released_at", "knowledge_cutoff", "lifecycle", "modalities"),
        _CARD,
    )
    | {"loras": Refusal("an adapter of vLLM is a model of its own: name it under providers.models")},
    routing.Signals: dict.fromkeys(
        (
            *("domains", "fact_check", "user_feedbacks", "reasks", "preferences", "language", "complexity", "modality"),
            *("jailbreak", "safety", "hallucination", "pii", "kb", "classifiers"),
        ),
        _NO_SIGNAL,
    )
    | dict.fromkeys(
        ("structure", "role_bindings", "conversation", "events", "metadata", "input_modality"),
        Refusal("keywords, embeddings and context are the signals of this router", _EMPTY),
    ),
    routing.KeywordSignal: {
        "fuzzy_match": Refusal(_FUZZY.reason, (False,)),
        "fuzzy_threshold": _FUZZY,
        "bm25_threshold": _FUZZY,
        "ngram_threshold": _FUZZY,
        "ngram_arity": _FUZZY,
    },
    routing.EmbeddingSignal: {
        "image_candidates": _IMAGES,
        "negative_image_candidates": _IMAGES,
        "prototype_scoring": Refusal("each candidate counts by itself", _OFF),
    },
    routing.Condition: {
        "label": _NO_CLASSIFIER,
        "predicate": _UNSURE,
        "on_error": _UNSURE,
        "on_unknown": Refusal(_UNSURE.reason, ("no_match",)),
    },
    routing.Decision: {
        "tier": Refusal("priorities order decisions", (0,)),
        "action": _NO_CLASSIFIER,
        "output_contract": Refusal("answers are passed on as they are"),
        "output_contract_spec": Refusal("answers are passed on as they are"),
        "adaptations": Refusal(_LEARNING.reason),
        "plugins": Refusal("requests and answers are passed on as they are", _EMPTY),
        "candidateIterations": _FALLBACK,
        "emits": Refusal("decisions do not act on each other"),
    },
    routing.ModelRef: {
        "lora_name": Refusal("an adapter of vLLM is a model of its own: name it under providers.models"),
        "weight": Refusal("the first model that can serve is taken; weigh its backend_refs"),
        "use_reasoning": Refusal(_REASONING.reason, (False,)),
        "reasoning_description": _REASONING,
        "reasoning_mode": _REASONING,
        "reasoning_effort": _REASONING,
    },
    routing.Algorithm: dict.fromkeys(
        (
            *("confidence", "ratings", "remom", "workflows", "router_dc", "automix", "hybrid", "latency_aware"),
            *("multi_factor", "prompt"),
        ),
        _ALGORITHM,
    )
    | {
        "on_error": Refusal("for fusion it belongs below fusion", ("skip",)),
    },
    routing.Fusion: {"grounding": Refusal(f"{_NO_CLASSIFIER.reason}; the judge compares", _OFF)},
    general.General: {},
    general.RouterSettings: {
        "clear_route_cache": Refusal(_ENVOY.reason, (True,)),
        "streamed_body": Refusal(_ENVOY.reason, _OFF),
        "skip_processing": Refusal(_ENVOY.reason, _OFF),
        "model_selection": Refusal(_ALGORITHM.reason, _OFF),
        "learning": _LEARNING,
        "fallback": _FALLBACK,
    },
    general.Services: {
        "api": Refusal("upstream's other APIs do not exist here"),
        "response_api": Refusal("/v1/responses does not exist here", _OFF),
        "router_replay": Refusal("requests are not recorded", _OFF),
        "authz": Refusal("clients are known by the keys of their listener"),
        "ratelimit": Refusal("clients are not counted"),
        "management_api": Refusal("/health, /ready and /metrics are on the listeners"),
        "startup_status": Refusal("systemd is told of readiness"),
    },
    general.Observability: {
        "tracing": Refusal("traces are not written; use metrics and the log", _OFF),
        "profiling": Refusal("there is no profiler", _OFF),
    },
    general.Metrics: {"windowed_metrics": Refusal("Prometheus computes windows", _OFF)},
    general.Stores: dict.fromkeys(
        ("response_cache", "memory", "vector_store"), Refusal("nothing of a request is kept", _OFF)
    ),
    general.Integrations: {"tools": Refusal("tools are passed on as they are", _OFF)},
    general.Looper: {
        "grpc_max_msg_size_mb": _ENVOY,
        "headers": Refusal("headers belong to backend_refs[].extra_headers"),
        "remom": _ALGORITHM,
        "flow": _ALGORITHM,
    },
    general.Semantic: dict.fromkeys(
        (
            *("qwen3_model_path", "gemma_model_path", "mmbert_model_path", "multimodal_model_path", "bert_model_path"),
            "use_cpu",
        ),
        _LOCAL_MODEL,
    ),
    general.EmbeddingConfig: dict.fromkeys(
        ("full_context", "preload_embeddings", "target_dimension", "target_layer", "enable_soft_matching"), _LOCAL_MODEL
    )
    | dict.fromkeys(("top_k", "min_score_threshold"), Refusal("each signal has its own threshold"))
    | {"prototype_scoring": Refusal("each candidate counts by itself", _OFF)},
    general.ModelCatalog: dict.fromkeys(
        ("bindings", "deployments", "system", "external", "kbs", "modules", "admission"), _NO_CLASSIFIER
    ),
}
