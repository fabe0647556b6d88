"""What the upstream side tells whoever counts."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Is told of attempts, retries and the state of backends; model and backend are names of the configuration."""

    def attempted(self, model: str, backend: str, outcome: str, seconds: float) -> None:
        """An attempt ended; `outcome` is a failure or a status, such as `connect` or `200`. The body may be to come."""

    def retried(self, model: str, backend: str, outcome: str) -> None:
        """Another attempt follows one with this outcome."""

    def ejected(self, model: str, backend: str, seconds: float) -> None:
        """A backend is kept out of the balance for a time."""

    def health(self, model: str, backend: str, *, up: bool, reason: str) -> None:
        """A health check found a backend up or down, differently from before."""


class Silent:
    """Tells nobody."""

    def attempted(self, model: str, backend: str, outcome: str, seconds: float) -> None:
        """See Observer."""

    def retried(self, model: str, backend: str, outcome: str) -> None:
        """See Observer."""

    def ejected(self, model: str, backend: str, seconds: float) -> None:
        """See Observer."""

    def health(self, model: str, backend: str, *, up: bool, reason: str) -> None:
        """See Observer."""
