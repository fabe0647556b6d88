"""What Prometheus is shown. Labels hold names of the configuration only: a client cannot make new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from tandem.router.serve.log import Log
    from tandem.router.serve.messages import Outcome
    from tandem.router.upstream.backends import Group

_BUCKETS_SEC = (0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Metrics:
    """Counts for the server and the upstream side (an Observer); other parts have theirs in `part_metrics`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.registry = CollectorRegistry()

        counter, histogram = self.counter, self.histogram
        self._requests = counter("tandem_router_requests", "Requests of clients.", "path", "status")
        self._seconds = histogram("tandem_router_request_seconds", "From a request to its last byte.", "path")
        self._models = counter("llm_model_requests", "Requests that a model answered.", "model")
        self._first_byte = histogram("llm_model_ttft_seconds", "From a request to its first byte.", "model")
        self._decisions = counter("tandem_router_decisions", "Requests by what decided.", "decision", "algorithm")
        self._failures = counter("tandem_router_failures", "Requests without a whole answer.", "reason")
        self._refusals = counter("tandem_router_refusals", "Requests refused by their head.", "code")
        labels = ("model", "backend", "outcome")
        self._attempts = counter("tandem_router_upstream_attempts", "Requests to backends.", *labels)
        self._retries = counter("tandem_router_upstream_retries", "Attempts that others followed.", *labels)
        self._ejections = counter("tandem_router_upstream_ejections", "Backends kept out.", "model", "backend")
        self.active = Gauge("tandem_router_active_requests", "Requests under way.", registry=self.registry)

    def counter(self, name: str, words: str, *labels: str) -> Callable[..., Counter]:
        """Return a new counter, to be called with the values of its labels."""
        return _Children(Counter(name, words, labels, registry=self.registry))

    def histogram(
        self, name: str, words: str, *labels: str, buckets: Sequence[float] = _BUCKETS_SEC
    ) -> Callable[..., Histogram]:
        """Return a new histogram, to be called with the values of its labels."""
        return _Children(Histogram(name, words, labels, buckets=buckets, registry=self.registry))

    def show(self) -> bytes:
        """Return everything in the text of Prometheus."""
        return generate_latest(self.registry)

    def watch(self, groups: Mapping[str, Group], now: Callable[[], float]) -> None:
        """Show the state of backends, too."""
        self.registry.register(_Backends(groups, now))

    def answered(self, path: str, outcome: Outcome, seconds: float) -> None:
        """Count a request."""
        self._requests(path, str(outcome.status)).inc()
        self._seconds(path).observe(seconds)
        if outcome.model is not None:
            self._models(outcome.model).inc()
            if outcome.first_byte_sec is not None:
                self._first_byte(outcome.model).observe(outcome.first_byte_sec)
        if outcome.decision is not None:
            self._decisions(outcome.decision, outcome.algorithm or "").inc()
        if outcome.failure is not None:
            self._failures(outcome.failure).inc()

    def refused(self, code: str) -> None:
        """Count a request that was refused before its body was read."""
        self._refusals(code).inc()

    # -- Observer of the upstream side

    def attempted(self, model: str, backend: str, outcome: str, seconds: float) -> None:  # noqa: ARG002
        """See Observer."""
        self._attempts(model, backend, outcome).inc()

    def retried(self, model: str, backend: str, outcome: str) -> None:
        """See Observer."""
        self._retries(model, backend, outcome).inc()
        self._log.event("retry", {"model": model, "backend": backend, "outcome": outcome})

    def ejected(self, model: str, backend: str, seconds: float) -> None:
        """See Observer."""
        self._ejections(model, backend).inc()
        self._log.event("ejected", {"model": model, "backend": backend, "seconds": seconds})

    def health(self, model: str, backend: str, *, up: bool, reason: str) -> None:
        """See Observer."""
        what = "backend_up" if up else "backend_down"
        self._log.event(what, {"model": model, "backend": backend, "reason": reason or None})


_Family = TypeVar("_Family", Counter, Histogram)


class _Children(Generic[_Family]):
    """Keeps what the labels lead to: the library's own look-up takes a lock and costs more than the count."""

    def __init__(self, family: _Family) -> None:
        self._family: _Family = family
        self._known: dict[tuple[str, ...], _Family] = {}

    def __call__(self, *labels: str) -> _Family:
        child = self._known.get(labels)
        if child is None:
            child = self._known[labels] = self._family.labels(*labels) if labels else self._family
        return child


class _Backends(Collector):
    """The state of backends, read when it is asked for."""

    def __init__(self, groups: Mapping[str, Group], now: Callable[[], float]) -> None:
        self._groups, self._now = groups, now

    def collect(self) -> Iterable[Metric]:
        """See Collector."""
        labels = ("model", "backend")
        up = GaugeMetricFamily(
            "tandem_router_upstream_up", "1 for a backend that is not known to be down.", labels=labels
        )
        ejected = GaugeMetricFamily("tandem_router_upstream_ejected", "1 while it is kept out.", labels=labels)
        active = GaugeMetricFamily("tandem_router_upstream_active_requests", "Requests under way.", labels=labels)
        idle = GaugeMetricFamily("tandem_router_upstream_idle_connections", "Kept connections.", labels=labels)
        for model, group in self._groups.items():
            for backend in group.backends:
                name = (model, backend.name)
                up.add_metric(name, float(backend.is_up))
                ejected.add_metric(name, float(backend.ejected_until > self._now()))
                active.add_metric(name, backend.active)
                idle.add_metric(name, backend.pool.idle)
        return (up, ejected, active, idle)
