"""What the judge works with: checks, and the findings that explain those which failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Result = Literal["pass", "warn", "fail", "skipped"]
Value = float | int | str | bool | None

#: Finding.about of a link that somebody put down, as opposed to one without a signal.
PUT_DOWN = "put down"
NO_SIGNAL = "no signal"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: the candidate of a cause."""

    code: str
    message: str
    remedy: str
    node: str | None = None
    about: str = ""
    """What sets it apart from another finding of the same code and node, such as a direction."""

    def document(self) -> dict[str, Any]:
        """Return it as the verdict has it."""
        return {"code": self.code, "node": self.node, "message": self.message, "remedy": self.remedy}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. One that warns or fails has a finding."""

    name: str
    result: Result
    node: str | None = None
    client: str | None = None
    server: str | None = None
    message_size_bytes: int | None = None
    measured: Value = None
    threshold: Value = None
    ceiling: float | None = None
    unit: str | None = None
    note: str | None = None
    finding: Finding | None = None

    def document(self, cause: str | None) -> dict[str, Any]:
        """Return it as the verdict has it; ``cause`` is the code of what explains it."""
        return {key: value for key, value in asdict(self).items() if key != "finding"} | {"cause": cause}
