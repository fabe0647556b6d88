"""JSON that others wrote: decoded without surprises."""

from __future__ import annotations

import json
import re

#: Of tokens. JSON has no limit, but what adds numbers up has one.
_MOST = 1 << 53
_LONE = re.compile(rb"\\u[dD][89a-fA-F]")


def decode(data: bytes) -> dict[str, object] | None:
    """Return the object in the bytes, or None where there is none.

    Halves of surrogate pairs, which cannot be sent on as UTF-8, become question marks.
    """
    try:
        found = json.loads(data)
        if _LONE.search(data):
            found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def mapping(value: object) -> dict[str, object]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def first(value: object) -> dict[str, object]:
    """Return the first entry of a list if that is an object, else an empty one."""
    return mapping(value[0]) if isinstance(value, list) and value else {}


def count(value: object) -> int | None:
    """Return a number of tokens, or None for anything else, and for one that nobody could have counted."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def text_of(content: object) -> str:
    """Return the text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part if isinstance(part, str) else mapping(part).get("text") for part in content]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""
