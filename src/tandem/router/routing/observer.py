"""What routing tells whoever counts. Upstream's metrics with the same meaning are named."""

from __future__ import annotations

from typing import Protocol


class RoutingObserver(Protocol):
    """Is told of everything that is measured. Calls are quick and do not fail."""

    def family_evaluated(self, family: str, seconds: float) -> None:
        """Signals of a family were evaluated for a request: `llm_signal_extraction_latency_seconds{signal_type}`."""
        ...

    def signal_matched(self, family: str, name: str) -> None:
        """A signal holds: `llm_signal_match_total{signal_type, signal_name}`."""
        ...

    def decided(self, decision: str | None, seconds: float) -> None:
        """A request of a virtual name was decided, by the default model if None.

        `llm_decision_match_total{decision_name}` and `llm_decision_evaluation_latency_seconds`.
        """
        ...

    def degraded(self, family: str, reason: str) -> None:
        """A family could not be evaluated for a request, for a short word of why."""
        ...

    def embedding_cached(self, *, hit: bool) -> None:
        """A request's embedding was, or was not, in the cache."""
        ...

    def embedding_available(self, *, available: bool) -> None:
        """Embeddings came to work, or stopped working."""
        ...


class Silent:
    """Counts nothing."""

    def family_evaluated(self, family: str, seconds: float) -> None:
        """Do nothing."""

    def signal_matched(self, family: str, name: str) -> None:
        """Do nothing."""

    def decided(self, decision: str | None, seconds: float) -> None:
        """Do nothing."""

    def degraded(self, family: str, reason: str) -> None:
        """Do nothing."""

    def embedding_cached(self, *, hit: bool) -> None:
        """Do nothing."""

    def embedding_available(self, *, available: bool) -> None:
        """Do nothing."""
