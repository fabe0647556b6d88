"""How many tokens a prompt may have, before any model has counted them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tandem.router.fusion.documents import mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Around each message: role and marks of the chat template. Around all of them: the template's own system prompt.
_PER_MESSAGE, _PER_REQUEST = 12, 64
#: An image, and other media. Nobody tells before; these are above what common models take for one of usual size.
_PER_IMAGE, _PER_OTHER_MEDIUM = 4096, 16384
#: A word, split where the case changes (text such as base64 has more tokens), or space that is more than one blank.
_RUN = re.compile(r"[a-z]+|[A-Z]+|(?! (?! ))[ \t\r\n]+")


def of_text(text: str) -> int:
    """Return a number of tokens that a text is unlikely to exceed: some twice of what English takes.

    Two letters of a word are one token, as are two of a run of space; any other character is one, outside of ASCII
    each byte.
    """
    runs = [len(run) for run in _RUN.findall(text)]
    letters = sum(runs)
    halves = sum((length + 1) // 2 for length in runs)
    blanks = len(re.findall(r"(?<!\s) (?!\s)", text))
    return halves + len(text.encode("utf-8", "replace")) - letters - blanks


def of_request(body: Mapping[str, object]) -> int:
    """Return a number of tokens that the prompt of a request is unlikely to exceed."""
    messages = body.get("messages")
    total = _PER_REQUEST
    for message in messages if isinstance(messages, list) else ():
        content = mapping(message).get("content")
        rest = {name: value for name, value in mapping(message).items() if name not in ("content", "role")}
        total += _PER_MESSAGE + (of_text(json.dumps(rest)) if rest else 0)
        total += sum(_of_part(part) for part in content) if isinstance(content, list) else of_text(str(content or ""))
    shape = {name: body[name] for name in ("tools", "functions", "response_format") if body.get(name)}
    return total + (of_text(json.dumps(shape)) if shape else 0)


def _of_part(part: object) -> int:
    if isinstance(part, str):
        return of_text(part)
    kind, text = mapping(part).get("type"), mapping(part).get("text")
    if isinstance(text, str):
        return of_text(text)
    return _PER_IMAGE if kind in ("image_url", "input_image", "image") else _PER_OTHER_MEDIUM
