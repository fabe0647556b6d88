"""When a panel has said enough: which members are asked, which are waited for, how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: How a member stands. `left_out` was never asked: its engine is busy, or the budget does not reach.
Standing = Literal["waiting", "left_out", "asked", "usable", "repeated", "failed", "cancelled"]
#: How a panel ended. `short` is below its quorum, `failed` is on_error: fail.
End = Literal["enough", "short", "failed"]


@dataclass(slots=True)
class Panel:
    """The state of a panel. It knows nothing of calls: it is told what happened, and asked what to do.

    Attributes:
        size: How many members there are.
        quorum: How many answers of worth it takes.
        max_concurrent: How many are asked at once.
        grace_sec: How long to wait for more once the quorum is met.
        ends_at: When it ends at the latest, by the caller's clock.
        fail_fast: Whether the first failure ends it (on_error: fail).
        agreement_counts: Whether answers that are word for word like another's make up for what is missing at its end.
    """

    size: int
    quorum: int
    max_concurrent: int
    grace_sec: float = 0.0
    ends_at: float | None = None
    fail_fast: bool = False
    agreement_counts: bool = True
    standing: list[Standing] = field(init=False)
    end: End | None = field(default=None, init=False)
    timed_out: bool = field(default=False, init=False)
    _grace_ends_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.standing = ["waiting"] * self.size

    def next(self) -> int | None:
        """Return the member to be asked now, in the order of the panel."""
        if self.end or self.number("asked") >= self.max_concurrent or self.number("usable") >= self.quorum:
            return None
        return next((place for place, standing in enumerate(self.standing) if standing == "waiting"), None)

    def asked(self, place: int) -> None:
        """Note that a member is asked."""
        self._expect(place, "waiting")
        self.standing[place] = "asked"

    def left_out(self, place: int) -> None:
        """Note that a member is not asked. That is no failure."""
        self._expect(place, "waiting")
        self.standing[place] = "left_out"

    def readmit(self, place: int) -> None:
        """Note that a member can be asked after all."""
        self._expect(place, "left_out")
        self.standing[place] = "waiting"

    def finished(self, place: int, standing: Literal["usable", "repeated", "failed", "left_out"], now: float) -> None:
        """Note how a member's call ended; `left_out` is one that turned out not to be sent."""
        self._expect(place, "asked")
        self.standing[place] = standing
        if self.end:
            return
        if standing == "failed" and self.fail_fast and self.number("usable") < self.quorum:
            self.end = "failed"
        elif standing == "usable" and self.number("usable") == self.quorum:
            self._grace_ends_at = now + self.grace_sec
        self.look(now)

    def look(self, now: float) -> None:
        """End the panel if it is time, or if nothing more can change."""
        if self.end:
            return
        usable, coming = self.number("usable"), self.number("asked", "waiting")
        if usable >= self.quorum:
            over = self._grace_ends_at is not None and now >= self._grace_ends_at
            if over or self.grace_sec <= 0 or not self.number("asked"):
                self.end = "enough"
        elif not coming or usable + self._agreeing() + coming < self.quorum:
            self._end_short()
        if not self.end and self.ends_at is not None and now >= self.ends_at:
            self.timed_out = True
            self._end_short()

    @property
    def wakes_at(self) -> float | None:
        """Return when to look again if nothing happens before."""
        times = [time for time in (self._grace_ends_at, self.ends_at) if time is not None]
        return min(times, default=None)

    @property
    def agreed(self) -> bool:
        """Tell whether only agreement word for word made up the quorum."""
        return self.end == "enough" and self.number("usable") < self.quorum

    def cancelled(self) -> list[int]:
        """Mark who is still asked when the panel has ended as cancelled, and return their places."""
        places = [place for place, standing in enumerate(self.standing) if standing == "asked"]
        for place in places:
            self.standing[place] = "cancelled"
        return places

    def number(self, *standings: Standing) -> int:
        """Return how many members stand like this."""
        return sum(standing in standings for standing in self.standing)

    def _expect(self, place: int, standing: Standing) -> None:
        if self.standing[place] != standing:
            raise ValueError(f"member {place} is {self.standing[place]} where {standing} was expected")

    def _agreeing(self) -> int:
        return self.number("repeated") if self.agreement_counts else 0

    def _end_short(self) -> None:
        usable = self.number("usable")
        self.end = "enough" if usable and usable + self._agreeing() >= self.quorum else "short"
