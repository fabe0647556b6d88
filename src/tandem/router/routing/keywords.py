"""Keyword signals: every keyword of every signal is looked for in one pass over the text.

A literal keyword is a whole word: no letter or digit stands beside it. Keywords with Chinese, Japanese or Korean
characters match anywhere, as those are written without spaces. So upstream has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import re2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tandem.router.config.routing import KeywordSignal

_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
_BEFORE = rf"(?:\A|[^\pL\p{{Nd}}]|[{_CJK}])"
_AFTER = rf"(?:\z|[^\pL\p{{Nd}}]|[{_CJK}])"
_ASCII_BEFORE = r"(?:\A|[\x00-/:-@\[-`{-\x7f])"
_ASCII_AFTER = r"(?:\z|[\x00-/:-@\[-`{-\x7f])"
#: What the states of one pass may take. They are dropped and made anew when they do not fit.
_MAX_MEMORY_BYTES = 64 << 20


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY_BYTES
    options.log_errors = False
    options.never_capture = True
    return options


class Keywords:
    """All keyword signals of a configuration, compiled."""

    def __init__(self, signals: Sequence[KeywordSignal]) -> None:
        self.names = tuple(signal.name for signal in signals)
        self._operators = tuple(signal.operator for signal in signals)
        self._words = tuple(tuple(dict.fromkeys(signal.keywords)) for signal in signals)
        patterns: dict[tuple[str, str], int] = {}
        self._users: list[list[tuple[int, str]]] = []
        for place, signal in enumerate(signals):
            for word in self._words[place]:
                index = patterns.setdefault(_pattern(signal, word), len(patterns))
                if index == len(self._users):
                    self._users.append([])
                self._users[index].append((place, word))
        options = _options()
        self._loose = [re2.compile(loose, options) for loose, _ in patterns]
        self._words_only = [_Word(word, options) if word else None for _, word in patterns]
        self._set = _make_set([loose for loose, _ in patterns], options)

    def match(self, text: bytes) -> Mapping[str, tuple[str, ...]]:
        """Return the signals that match, each with the keywords that were found."""
        hits: list[list[str]] = [[] for _ in self.names]
        for index in self._scan(text):
            word = self._words_only[index]
            if word is None or word.stands_in(text):
                for place, keyword in self._users[index]:
                    hits[place].append(keyword)
        matches = {}
        for name, operator, words, found in zip(self.names, self._operators, self._words, hits, strict=True):
            if operator == "OR":
                holds = bool(found)
            elif operator == "AND":
                holds = len(found) == len(words)
            else:
                holds = not found
            if holds:
                matches[name] = tuple(found)
        return matches

    def _scan(self, text: bytes) -> Iterable[int]:
        found = self._set.Match(text) if self._set else None
        if found is None:
            # Not even the pattern that is in every text: there was no memory for the states. One by one it needs none.
            return [index for index, pattern in enumerate(self._loose) if pattern.search(text) is not None]
        return sorted(index for index in found if index < len(self._loose))


class _Word:
    """Tells a whole word from a part of one. The classes of Unicode cost milliseconds, so they wait until needed."""

    def __init__(self, word: str, options: re2.Options) -> None:
        self._word = word
        self._options = options
        self._ascii = re2.compile(_ASCII_BEFORE + word + _ASCII_AFTER, options)
        self._unicode: re2._Regexp | None = None

    def stands_in(self, text: bytes) -> bool:
        if self._ascii.search(text) is not None:
            return True
        if text.isascii():
            return False
        self._unicode = self._unicode or re2.compile(_BEFORE + self._word + _AFTER, self._options)
        return self._unicode.search(text) is not None


def _pattern(signal: KeywordSignal, keyword: str) -> tuple[str, str]:
    """Return what is looked for in the one pass; and again where it must be a whole word, which is checked then."""
    if signal.method == "regex":
        return keyword if signal.case_sensitive else f"(?i){keyword}", ""
    literal = re2.escape(keyword) if signal.case_sensitive else f"(?i:{re2.escape(keyword)})"
    return literal, "" if re2.search(f"[{_CJK}]", keyword) else literal


def _make_set(patterns: Sequence[str], options: re2.Options) -> re2.Set | None:
    if not patterns:
        return None
    matcher = re2.Set.SearchSet(options)
    try:
        for pattern in (*patterns, ""):
            matcher.Add(pattern)
        matcher.Compile()
    except re2.error:
        return None
    return matcher
