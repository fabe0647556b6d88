"""What the outside is told for its metrics. Names and labels that upstream has are upstream's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tandem.router.fusion.record import CallRecord, RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumFailure:
    """A panel that ended below its quorum.

    Attributes:
        disposition: `quorum_failed`, `fallback_served`, `fallback_failed`, `budget_exhausted`, as upstream has them.
        states: One of upstream's states for each member.
    """

    decision: str
    policy: str
    disposition: str
    target: str | None
    required: int
    usable: int
    states: tuple[str, ...]


class Observer(Protocol):
    """Where fusion reports to; called from its tasks, so it must not wait.

    For Prometheus: `call_ended` is llm_looper_attempts_total{algorithm="fusion",stage,status=call.state,
    reason=call.outcome} with llm_looper_attempt_duration_seconds, _first_byte_seconds, _tokens_total and _cost_total;
    `quorum_failed` is llm_fusion_quorum_failure_total, llm_fusion_quorum_fallback_total, llm_fusion_quorum_required_
    responses, _usable_responses and llm_fusion_panel_attempt_total{decision,state}; `request_ended` is
    llm_looper_execution_duration_seconds{algorithm,status}.
    """

    def call_ended(self, decision: str, call: CallRecord) -> None:
        """Note a call that ended, was cancelled, or was not sent."""
        ...

    def quorum_failed(self, failure: QuorumFailure) -> None:
        """Note a panel below its quorum, once it is known what came of it."""
        ...

    def request_ended(self, record: RequestRecord) -> None:
        """Note the end of a request, also of one that was refused or whose client left."""
        ...


class NoObserver:
    """Reports to nobody."""

    def call_ended(self, decision: str, call: CallRecord) -> None:
        """Do nothing."""

    def quorum_failed(self, failure: QuorumFailure) -> None:
        """Do nothing."""

    def request_ended(self, record: RequestRecord) -> None:
        """Do nothing."""
