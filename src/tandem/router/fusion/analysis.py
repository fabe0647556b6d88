"""The judge's analysis: JSON that a model wrote, so everything around and in it may be slightly wrong."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tandem.router.fusion.answers import spoken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEYS = ("consensus", "contradictions", "partial_coverage", "unique_insights", "blind_spots")

_STRAY_COMMA = re.compile(r",(?=\s*[}\]])")
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})?')
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
#: More opening braces are not tried: an analysis is near the beginning of what begins with prose.
_MAX_STARTS = 32
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What the judge found in the answers, or what it wrote where that is no analysis."""

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    raw: str = ""
    parse_failed: bool = False

    def document(self) -> dict[str, object]:
        """Return it as upstream has it in its answer; `raw` only where it is all there is."""
        found: dict[str, object] = {key: list(self.lists.get(key, ())) for key in KEYS}
        if self.parse_failed:
            found["raw"] = self.raw
        return {**found, "parse_failed": self.parse_failed}


def parse(text: str) -> Analysis:
    """Return the analysis in a judge's answer: the first JSON object with one of the keys, repaired if need be.

    Fences, prose around it, a text that breaks off, stray commas, raw line breaks and bad escapes are forgiven. A
    string or an object where a list belongs counts as one entry.
    """
    for candidate in _candidates(spoken(text)):
        found = _load(candidate)
        if found is not None and any(key in found for key in KEYS):
            return Analysis(lists={key: _entries(found.get(key)) for key in KEYS})
    return Analysis(raw=text, parse_failed=True)


def _candidates(text: str) -> Iterator[str]:
    """Yield what may be JSON: from each opening brace on."""
    for number, match in enumerate(re.finditer(r"\{", text)):
        if number == _MAX_STARTS:
            return
        yield text[match.start() :]


def _load(text: str) -> dict[str, object] | None:
    for repair in (str, _repair, _closed):
        try:
            found, _ = _DECODER.raw_decode(repair(text))
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _repair(text: str) -> str:
    """Return the text with its escapes put right, and without commas before a closing bracket, outside of strings."""
    parts, end = [], 0
    for match in _STRING.finditer(text):
        parts.append(_STRAY_COMMA.sub("", text[end : match.start()]))
        parts.append(_ESCAPE.sub(lambda escape: escape[0] if escape[1] else r"\\", match[0]))
        end = match.end()
    return "".join((*parts, _STRAY_COMMA.sub("", text[end:])))


def _closed(text: str) -> str:
    """Return the repaired text up to its last whole value, with what is open closed."""
    text = _repair(text)
    open_brackets: list[str] = []
    whole, closing, end = "", "", 0
    for match in re.finditer(_STRING.pattern + r"|[{}\[\],]", text, re.DOTALL):
        sign, end = match[0], match.end()
        if sign in "{[":
            open_brackets.append("}" if sign == "{" else "]")
            whole, closing = text[:end], "".join(reversed(open_brackets))
        elif sign in "}]":
            if not open_brackets:
                break
            open_brackets.pop()
            whole, closing = text[:end], "".join(reversed(open_brackets))
        elif open_brackets and open_brackets[-1] == "]" and len(sign) > 1 and sign.endswith('"'):
            whole, closing = text[:end], "".join(reversed(open_brackets))
    return whole.rstrip().rstrip(",") + closing


def _entries(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    values = value if isinstance(value, list) else [value]
    texts = (item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in values)
    return tuple(text.strip() for text in texts if text.strip())
