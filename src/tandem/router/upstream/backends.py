"""The backends of a model and which of them is next: pure but for the clock and the dice, which are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tandem.router.config.providers import Reliability
    from tandem.router.upstream.pool import Pool

#: As in Envoy: the longest that a backend is kept out.
MAX_EJECTION_SEC = 300.0
#: The longest that a backend's Retry-After is believed.
MAX_REST_SEC = 60.0
#: As upstream configures Envoy: so many failed checks in a row take a healthy backend out, one good one puts it back.
UNHEALTHY_AFTER = 3


@dataclass(slots=True, eq=False)
class Backend:
    """One server of a model, and what is known of it.

    Attributes:
        name: In logs and metrics.
        head: Headers that every request to it carries, ready to be sent.
        own: Names of those headers, in lower case; a call cannot set them.
        prefix: What stands before the path of a call, less its `/v1`, where the configured address has a path.
        active: Requests under way.
        up: What its health check says; None before the first one, or without one.
    """

    name: str
    pool: Pool
    head: bytes
    own: frozenset[str] = frozenset()
    prefix: str | None = None
    weight: int = 1
    active: int = 0
    turn: int = 0
    up: bool | None = None
    failed_checks: int = 0
    consecutive_5xx: int = 0
    ejections: int = 0
    ejected_until: float = 0.0
    resting_until: float = 0.0

    @property
    def is_up(self) -> bool:
        """Tell whether nothing says that it is down. What could not be reached lately is asked all the same."""
        return self.up is not False and self.pool.reachable is not False

    def path(self, path: str) -> str:
        """Return the path of a call at this backend; the path of its address stands for `/v1`, as upstream has it."""
        return path if self.prefix is None else self.prefix + path.removeprefix("/v1")

    def checked(self, *, healthy: bool) -> bool:
        """Take in a health check; tell whether that changed anything. The first one counts at once."""
        before = self.up
        self.failed_checks = 0 if healthy else self.failed_checks + 1
        if healthy:
            self.up = True
        elif before is None or self.failed_checks >= UNHEALTHY_AFTER:
            self.up = False
        return before is not self.up and not (before is None and self.up)


@dataclass(slots=True, eq=False)
class Group:
    """All backends of a model."""

    model: str
    name_there: str
    backends: Sequence[Backend]
    reliability: Reliability
    _order: list[Backend] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._order = [backend for backend in self.backends if backend.weight > 0]

    def can_serve(self, now: float) -> bool:
        """Tell whether a request would find a backend that is not known to be broken."""
        return any(backend.is_up and backend.ejected_until <= now for backend in self._order)

    def has_other(self, now: float, tried: Collection[Backend]) -> bool:
        """Tell whether a backend is left that was not tried, and that nothing speaks against."""
        return any(
            backend.up is not False and backend.ejected_until <= now and backend.resting_until <= now
            for backend in self._order
            if backend not in tried
        )

    def choose(self, now: float, tried: Collection[Backend] = ()) -> Backend | None:
        """Return the next backend, or None if every one failed its health checks.

        Those that are ejected, asked for rest or were tried already are taken only where no other is left.
        """
        order = self._order
        if len(order) == 1:
            return order[0] if order[0].up is not False else None
        candidates = [backend for backend in order if backend.up is not False]
        if not candidates:
            return None
        candidates = [backend for backend in candidates if backend.ejected_until <= now] or candidates
        candidates = [backend for backend in candidates if backend not in tried] or candidates
        candidates = [backend for backend in candidates if backend.resting_until <= now] or candidates
        if self.reliability.lb_policy == "least_request":
            least = min((backend.active + 1) / backend.weight for backend in candidates)
            candidates = [backend for backend in candidates if (backend.active + 1) / backend.weight == least]
        return _next(candidates)

    def answered(self, backend: Backend) -> None:
        """Note an answer that was no failure of the server."""
        backend.consecutive_5xx = 0

    def failed(self, backend: Backend, now: float) -> float:
        """Note a failure of the server; return for how many seconds it is ejected, mostly 0."""
        backend.consecutive_5xx += 1
        limit = self.reliability.consecutive_5xx
        if not limit or backend.consecutive_5xx < limit or backend.ejected_until > now or len(self.backends) < 2:
            return 0.0
        out = sum(other.ejected_until > now for other in self.backends)
        if (out + 1) * 100 > self.reliability.max_ejection_percent * len(self.backends):
            return 0.0
        base = self.reliability.base_ejection_time
        # Longer each time, and forgotten once it has been in the balance for as long as it was out.
        again = now - backend.ejected_until < base * backend.ejections
        backend.ejections = backend.ejections + 1 if again else 1
        seconds = max(base, min(base * backend.ejections, MAX_EJECTION_SEC))
        backend.ejected_until = now + seconds
        backend.consecutive_5xx = 0
        return seconds

    def rest(self, backend: Backend, now: float, seconds: float) -> None:
        """Leave a backend alone that asked for it, as long as there are others."""
        backend.resting_until = max(backend.resting_until, now + min(seconds, MAX_REST_SEC))


def _next(candidates: Sequence[Backend]) -> Backend:
    """Take turns by weight without bursts: each gains its weight, the first in the queue pays what all gained."""
    chosen, total = candidates[0], 0
    for backend in candidates:
        backend.turn += backend.weight
        total += backend.weight
        if backend.turn > chosen.turn:
            chosen = backend
    chosen.turn -= total
    return chosen
