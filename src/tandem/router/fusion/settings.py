"""The settings of a fusion for one request: what the decision says, defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.router.fusion.ledger import Price
from tandem.router.fusion.plan import MOST_TOKENS, Share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.router.calls import Load
    from tandem.router.config.providers import Model
    from tandem.router.config.routing import Decision, Fusion, Limits, ModelCard

#: The panel must have ended, and then the analysis, after this part of max_wall_seconds: the rest is the synthesis'.
PANEL_PART, JUDGE_PART = 0.6, 0.8


@dataclass(frozen=True, slots=True)
class Settings:
    """What a decision with fusion means for a panel.

    Attributes:
        panel: The members of this request, which routing may have chosen.
        began: When the request came, by the loop's clock.
    """

    decision: Decision
    fusion: Fusion
    panel: tuple[str, ...]
    models: Mapping[str, Model]
    cards: Mapping[str, ModelCard]
    client_max_tokens: int | None
    began: float

    @property
    def limits(self) -> Limits:
        """Return the budget."""
        return self.decision.annotations.tandem

    @property
    def quorum(self) -> int:
        """Return how many must answer: what is configured, else all that are asked."""
        return self.fusion.min_successful_responses or len(self.panel)

    @property
    def stages(self) -> int:
        """Return how many calls come after the panel."""
        return 2 if self.fusion.analysis_mode == "separate" else 1

    def price(self, model: str) -> Price | None:
        """Return the price of a model, if it has one."""
        known = self.models.get(model)
        return Price.of(known.pricing) if known and known.pricing else None

    def wall_at(self, part: float = 1.0) -> float | None:
        """Return when this part of the time is over."""
        wall = self.limits.max_wall_seconds
        return None if wall is None else self.began + wall * part

    def member_temperature(self, model: str) -> float | None:
        """Return the temperature that a member is asked with; None leaves the client's."""
        for override in self.fusion.analysis_overrides:
            if override.model == model and override.temperature is not None:
                return override.temperature
        return self.fusion.temperature

    def member_tokens(self, model: str) -> int | None:
        """Return what a member's answer may have; None leaves the client's."""
        for override in self.fusion.analysis_overrides:
            if override.model == model and override.max_completion_tokens is not None:
                return override.max_completion_tokens
        return self.fusion.max_completion_tokens or self.client_max_tokens

    def answer_tokens(self) -> int | None:
        """Return what the answer to the client may have: never more than the client wants."""
        limits = (self.client_max_tokens, self.fusion.max_completion_tokens)
        return min((limit for limit in limits if limit is not None), default=None)

    def share(self, model: str, max_tokens: int | None, prompt_tokens: int) -> Share:
        """Return what a call needs of a budget of money. An answer without a limit gets the model's, or a usual one.

        Where its context is known it gets no more than fits beside the prompt, whose estimate may be twice too high.
        """
        card = self.cards.get(model)
        wanted = max_tokens or (card and card.max_output_tokens) or MOST_TOKENS
        if max_tokens is None and card and card.context_window_size:
            window = card.context_window_size
            wanted = min(wanted, max(window - prompt_tokens, window // 4, 1))
        return Share(self.price(model) or Price(), wanted)

    def busy(self, load: Load) -> str | None:
        """Return why an engine has too much to do, if it has."""
        most, fullest = self.limits.max_waiting_requests, self.limits.max_kv_cache_usage
        if most is not None and load.waiting_requests is not None and load.waiting_requests > most:
            return f"{load.waiting_requests} requests wait there, and max_waiting_requests is {most}"
        if fullest is not None and load.kv_cache_usage is not None and load.kv_cache_usage > fullest:
            return f"{load.kv_cache_usage:.0%} of its KV cache is in use, and max_kv_cache_usage is {fullest:g}"
        return None

    def budget(self) -> dict[str, object]:
        """Return the limits that are set, for the record."""
        limits = self.limits
        found = {
            "max_wall_seconds": limits.max_wall_seconds,
            "max_cost": limits.max_cost,
            "max_upstream_calls": limits.max_upstream_calls,
        }
        return {name: value for name, value in found.items() if value is not None}
