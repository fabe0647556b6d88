"""What a client is told when a panel could not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tandem.router.calls import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tandem.router.fusion.record import CallRecord

#: When to come again, where no backend said.
RETRY_AFTER_SEC = 5.0
_TOO_LATE = ("round_timeout", "wall_budget")
#: What a backend answers to a request that no backend would take.
_CLIENTS_FAULT = (400, 413, 415, 422)


def refusal(calls: Sequence[CallRecord], *, required: int, usable: int, fail_fast: bool = False) -> Refused:
    """Return the error for a panel below its quorum, by what would have been enough to meet it.

    If those who were busy or at their limit would have been: 503, come again. If those who took too long: 504. If
    nothing but the budget kept members away: 400. If every member refused the request itself: its status. Else 502.
    """
    told = "; ".join(f"{call.model}: {call.error or call.outcome}" for call in calls if call.state != "usable")
    message = f"{usable} of {required} needed answers of the panel ({told})"
    if fail_fast:
        message = f"a member of the panel failed, and on_error is fail ({told})"
    busy = [call for call in calls if call.outcome == "busy" or call.status in (429, 503)]
    late = [
        call for call in calls if call.outcome == "timeout" or call.cancelled_by in ("round_timeout", "wall_budget")
    ]
    poor = [call for call in calls if call.outcome == "budget"]
    # Nobody knows what those would have said who were not asked or not waited for, as it could not be enough.
    open_ = usable + sum(call.outcome == "not_needed" or call.cancelled_by == "quorum_lost" for call in calls)
    refused = [call for call in calls if call.status in _CLIENTS_FAULT]
    if busy and open_ + len(busy) >= required:
        times = [call.retry_after_sec for call in busy if call.retry_after_sec is not None]
        return Refused(503, "fusion_busy", message, retry_after_sec=min(times, default=RETRY_AFTER_SEC))
    if poor and open_ + len(poor) + len(busy) >= len(calls):
        return Refused(400, "fusion_budget", message)
    if refused and len(refused) == sum(call.sent for call in calls if call.cancelled_by is None):
        return Refused(refused[0].status or 400, "fusion_panel_refused", message)
    if late and open_ + len(late) + len(busy) >= required:
        return Refused(504, "fusion_timeout", message)
    return Refused(502, "fusion_quorum_failed" if not fail_fast else "fusion_member_failed", message)
