"""The record of a request: every call with its latency, tokens, cost, outcome and cancellation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Stage = Literal["panel", "judge", "synthesis", "fallback"]
#: How a call ended. `busy` and `budget` were not sent, `not_needed` neither, as the quorum was met before its turn.
Outcome = Literal[
    "answered", "empty", "repeated", "looping", "busy", "budget", "not_needed", "cancelled", "timeout", "connect",
    "closed", "garbage", "too_large", "status"
]  # fmt: skip
#: Why a call was cancelled: enough others had answered; the quorum could not be met any more, or on_error: fail; the
#: time of the panel or the request was over; the client left.
Cancellation = Literal["quorum_met", "quorum_lost", "member_failed", "round_timeout", "wall_budget", "client"]

#: Upstream's states of an attempt (label `state` of llm_fusion_panel_attempt_total); others are `failed`.
_STATES: dict[Outcome, str] = {
    **dict.fromkeys(("empty", "looping", "repeated"), "unusable"),
    **dict.fromkeys(("busy", "budget", "not_needed"), "not_asked"),
    "answered": "usable",
    "timeout": "timed_out",
    "cancelled": "cancelled",
}


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """One call, or one that was not made.

    Attributes:
        backend: Who answered; told in the log, not to clients.
        error: Why it failed, or was not sent.
        started_sec: Since the request came.
        first_token_sec: From its start, of a streamed answer.
        cost: None where the model has no price.
        cost_is: `at_most` where nobody counted its tokens: it was cancelled, broke off, or came without usage.
        max_tokens: What its answer could have; None is what the engine allows.
    """

    stage: Stage
    model: str
    outcome: Outcome | None = None
    backend: str | None = None
    error: str | None = None
    cancelled_by: Cancellation | None = None
    status: int | None = None
    retry_after_sec: float | None = None
    started_sec: float | None = None
    latency_sec: float | None = None
    first_token_sec: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    cost_is: Literal["measured", "at_most"] | None = None
    currency: str | None = None
    max_tokens: int | None = None
    finish_reason: str | None = None

    @property
    def state(self) -> str:
        """Return upstream's word for how it ended."""
        if self.cancelled_by in ("round_timeout", "wall_budget"):
            return "timed_out"
        return _STATES.get(self.outcome, "failed") if self.outcome else "cancelled"

    @property
    def sent(self) -> bool:
        """Tell whether a backend was called."""
        return self.started_sec is not None

    def document(self, *, public: bool = False) -> dict[str, object]:
        """Return it for the log, or for the client; what is not known is left out."""
        found: dict[str, object] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if value is None or (public and name == "backend"):
                continue
            found[name] = round(value, 9 if name == "cost" else 4) if isinstance(value, float) else value
        return found


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """A whole request.

    Attributes:
        outcome: `answered` may be degraded; `refused` and `broken` ended with an error, the latter in mid-stream.
        degraded: Everything that was less than was configured.
        notes: The same in words.
    """

    id: str
    decision: str
    mode: str
    judge: str
    panel: tuple[str, ...]
    quorum: int
    stream: bool
    budget: dict[str, object]
    currency: str | None = None
    outcome: Literal["answered", "fallback", "refused", "broken", "cancelled"] | None = None
    degraded: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    usable: int = 0
    wall_sec: float = 0.0
    stages_sec: dict[str, float] = field(default_factory=dict)
    first_token_sec: float | None = None
    error: str | None = None

    def degrade(self, reason: str, note: str) -> None:
        """Note once that something was less than was configured."""
        if reason not in self.degraded:
            self.degraded.append(reason)
        if note not in self.notes:
            self.notes.append(note)

    def usage(self) -> dict[str, int]:
        """Return the tokens of all calls, as far as backends told."""
        prompt = sum(call.prompt_tokens or 0 for call in self.calls)
        completion = sum(call.completion_tokens or 0 for call in self.calls)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def document(self, *, public: bool = False) -> dict[str, object]:
        """Return it for the log, or for the client."""
        costs = [call.cost for call in self.calls if call.cost is not None]
        found: dict[str, object] = {
            "id": self.id,
            "decision": self.decision,
            "mode": self.mode,
            "outcome": self.outcome,
            "degraded": list(self.degraded),
            "notes": list(self.notes),
            "judge": self.judge,
            "panel": list(self.panel),
            "quorum": {"required": self.quorum, "usable": self.usable},
            "stream": self.stream,
            "wall_sec": round(self.wall_sec, 4),
            "stages_sec": {name: round(value, 4) for name, value in self.stages_sec.items()},
            "upstream_calls": sum(call.sent for call in self.calls),
            "usage": self.usage(),
            "budget": dict(self.budget),
            "calls": _documents(self.calls, public=public),
        }
        if costs:
            found |= {"cost": round(sum(costs), 9), "currency": self.currency}
            found["cost_is"] = self._cost_is()
        if self.first_token_sec is not None:
            found["first_token_sec"] = round(self.first_token_sec, 4)
        if self.error is not None:
            found["error"] = self.error
        return found

    def _cost_is(self) -> str:
        if any(call.sent and call.cost is None for call in self.calls):
            return "at_least"
        return "at_most" if any(call.cost_is == "at_most" for call in self.calls) else "measured"


def _documents(calls: Iterable[CallRecord], *, public: bool) -> list[dict[str, object]]:
    return [call.document(public=public) for call in calls]
