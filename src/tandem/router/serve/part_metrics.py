"""What routing and fusion report, for Prometheus. Names and labels are upstream's where upstream has the metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from tandem.router.fusion.observer import QuorumFailure
    from tandem.router.fusion.record import CallRecord, RequestRecord
    from tandem.router.serve.log import Log
    from tandem.router.serve.metrics import Metrics

_SIGNAL_BUCKETS_SEC = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)


class RoutingMetrics:
    """See RoutingObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._signals = metrics.histogram(
            "llm_signal_extraction_latency_seconds",
            "To evaluate a family of signals.",
            "signal_type",
            buckets=_SIGNAL_BUCKETS_SEC,
        )
        self._matches = metrics.counter("llm_signal_match", "Signals that held.", "signal_type", "signal_name")
        self._decisions = metrics.counter("llm_decision_match", "Requests of virtual names.", "decision_name")
        self._deciding = metrics.histogram(
            "llm_decision_evaluation_latency_seconds", "To decide a request.", buckets=_SIGNAL_BUCKETS_SEC
        )
        self._degraded = metrics.counter(
            "tandem_router_signals_degraded", "Requests routed without a family of signals.", "signal_type", "reason"
        )
        self._cache = metrics.counter("tandem_router_embedding_cache", "Looked up texts.", "result")
        self._available = Gauge(
            "tandem_router_embeddings_available", "1 while embeddings work.", registry=metrics.registry
        )

    def family_evaluated(self, family: str, seconds: float) -> None:
        """See RoutingObserver."""
        self._signals(family).observe(seconds)

    def signal_matched(self, family: str, name: str) -> None:
        """See RoutingObserver."""
        self._matches(family, name).inc()

    def decided(self, decision: str | None, seconds: float) -> None:
        """See RoutingObserver."""
        self._decisions(decision or "").inc()
        self._deciding().observe(seconds)

    def degraded(self, family: str, reason: str) -> None:
        """See RoutingObserver."""
        self._degraded(family, reason).inc()

    def embedding_cached(self, *, hit: bool) -> None:
        """See RoutingObserver."""
        self._cache("hit" if hit else "miss").inc()

    def embedding_available(self, *, available: bool) -> None:
        """See RoutingObserver."""
        self._available.set(available)


class FusionMetrics:
    """See the Observer of fusion."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._log = log
        stage = ("algorithm", "stage")
        self._attempts = metrics.counter("llm_looper_attempts", "Calls of fusion.", *stage, "status", "reason")
        self._seconds = metrics.histogram(
            "llm_looper_attempt_duration_seconds", "Of calls of fusion.", *stage, "status"
        )
        self._first_byte = metrics.histogram("llm_looper_attempt_first_byte_seconds", "To the first token.", *stage)
        self._tokens = metrics.counter("llm_looper_attempt_tokens", "Of calls of fusion.", *stage, "token_type")
        self._cost = metrics.counter("llm_looper_attempt_cost", "Money for calls of fusion.", *stage, "currency")
        came = ("decision", "policy", "disposition")
        self._failures = metrics.counter("llm_fusion_quorum_failure", "Panels below it, and what came of them.", *came)
        self._fallbacks = metrics.counter(
            "llm_fusion_quorum_fallback", "Of those with a target.", "decision", "target", "disposition"
        )
        self._required = metrics.histogram(
            "llm_fusion_quorum_required_responses", "Of panels below it.", "decision", buckets=tuple(range(1, 9))
        )
        self._usable = metrics.histogram(
            "llm_fusion_quorum_usable_responses", "Of panels below it.", "decision", buckets=tuple(range(9))
        )
        self._panel = metrics.counter("llm_fusion_panel_attempt", "Members of panels below it.", "decision", "state")
        self._execution = metrics.histogram(
            "llm_looper_execution_duration_seconds", "Whole requests of fusion.", "algorithm", "status"
        )
        self._degraded = metrics.counter("tandem_router_fusion_degraded", "Less than configured.", "decision", "reason")

    def call_ended(self, decision: str, call: CallRecord) -> None:  # noqa: ARG002 - see Observer
        """See Observer."""
        stage = ("fusion", call.stage)
        self._attempts(*stage, call.state, call.outcome or "").inc()
        if call.latency_sec is not None:
            self._seconds(*stage, call.state).observe(call.latency_sec)
        if call.first_token_sec is not None:
            self._first_byte(*stage).observe(call.first_token_sec)
        for kind, tokens in (("prompt", call.prompt_tokens), ("completion", call.completion_tokens)):
            if tokens:
                self._tokens(*stage, kind).inc(tokens)
        if call.cost:
            self._cost(*stage, call.currency or "").inc(call.cost)

    def quorum_failed(self, failure: QuorumFailure) -> None:
        """See Observer."""
        self._failures(failure.decision, failure.policy, failure.disposition).inc()
        if failure.target is not None:
            self._fallbacks(failure.decision, failure.target, failure.disposition).inc()
        for state in failure.states:
            self._panel(failure.decision, state).inc()
        self._required(failure.decision).observe(failure.required)
        self._usable(failure.decision).observe(failure.usable)

    def request_ended(self, record: RequestRecord) -> None:
        """See Observer."""
        self._execution("fusion", record.outcome or "cancelled").observe(record.wall_sec)
        if record.outcome == "cancelled":
            # The line of the request is without it: whoever cancels a fusion takes nothing from it any more.
            self._log.event("fusion_cancelled", record.document())
        for reason in record.degraded:
            self._degraded(record.decision, reason).inc()
