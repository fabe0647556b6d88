"""What is wrong with a description, in a form that a person can act on."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to put right: which variable, what was found there, what to do."""

    variable: str
    found: str
    remedy: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        return f"{self.variable}: {self.found}; {self.remedy}"


def suggest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return a remedy that names the closest known word, or all of them if none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=cutoff)
    close = close or [name for name in names if len(word) > 2 and name.startswith(word)]
    if close:
        return f"did you mean {close[0]}?"
    return f"known are: {join_words(names)}" if names else "none is known"


def join_words(words: Iterable[object]) -> str:
    """List words for a sentence."""
    return ", ".join(str(word) for word in words) or "none"


def find_duplicates(words: Sequence[str]) -> list[str]:
    """Return the words that occur more than once."""
    return sorted({word for word in words if words.count(word) > 1})
