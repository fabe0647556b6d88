"""What the type hints of the configuration's classes say beyond types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Wrong(Exception):
    """A value that cannot be: `Wrong(found, remedy)`."""


@dataclass(frozen=True)
class Key:
    """The key in the file, where it is not the attribute's name."""

    name: str


@dataclass(frozen=True)
class Between:
    """The least and the most that a number may be; without `least_included` it must be above."""

    least: float | None = None
    most: float | None = None
    least_included: bool = True

    def check(self, value: float) -> None:
        """Raise Wrong for a number outside."""
        low = self.least is not None and (value < self.least or (value == self.least and not self.least_included))
        if low or (self.most is not None and value > self.most):
            raise Wrong(f"{value}", f"write a number {self}")

    def __str__(self) -> str:
        """Return the bounds in words."""
        least = f"of at least {self.least:g}" if self.least_included else f"above {self.least:g}"
        if self.most is None:
            return least
        return f"from {self.least:g} to {self.most:g}" if self.least_included else f"{least} and up to {self.most:g}"


@dataclass(frozen=True)
class NotEmpty:
    """A list or a text that must hold something."""


@dataclass(frozen=True)
class Reads:
    """A scalar that `function` turns into a value, or raises Wrong. `empty` stands in for one that cannot be read."""

    function: Callable[[Any], Any]
    empty: Any = None


@dataclass(frozen=True)
class Unsupported:
    """Values that upstream knows and we refuse, each with the reason."""

    reasons: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Means:
    """What to write, where the type does not tell enough."""

    words: str
