"""Answers of models: what is in them, whether they say anything, and which is the best of a panel."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tandem.router.fusion.documents import count, decode, first, mapping, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Why an answer is no success.
Unusable = Literal["empty", "repeated", "looping"]

_THOUGHT = re.compile(r"\s*<think>(.*?)(?:</think>|\Z)", re.DOTALL)
#: A word; or a sign that makes another thing of the number or word beside it: -5, < 3, a + b, C#, 5 %, $5.
_WORD = re.compile(
    r"\w+|(?<!\w)-(?=\.?\d)|[<>≤≥±≈$€£](?= ?\d)|(?<=\w)[+#%€£]+|(?<=\d) [%€£]|(?<=\w) ?[+/=<>≤≥≠±\u00d7÷]+ ?(?=[\w(-])"
)
#: A loop is at least this many repeats of the same words; fewer where the model was cut off in the middle of it.
_REPEATS, _REPEATS_WHEN_CUT = 20, 8
#: Only the end of an answer is searched, for loops of at most this many words, filling at least this part of it.
_TAIL, _LONGEST_LOOP, _LOOP_PART, _LEAST_LOOPED = 1200, 60, 0.6, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as a backend counted them; None is not told."""

    prompt: int | None = None
    completion: int | None = None
    cached: int = 0

    @property
    def known(self) -> bool:
        """Tell whether it can be paid by."""
        return self.prompt is not None and self.completion is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A chat.completion as far as it matters here.

    Attributes:
        choice: The first one as it came.
    """

    content: str
    reasoning: str = ""
    tool_calls: bool = False
    refusal: str = ""
    finish_reason: str | None = None
    usage: Usage = Usage()
    choice: Mapping[str, object] = field(default_factory=dict)


def read_reply(data: bytes) -> Reply | None:
    """Return the completion in a body, or None where there is none."""
    document = decode(data)
    if document is None or not isinstance(document.get("choices"), list):
        return None
    choice = first(document["choices"])
    message = mapping(choice.get("message"))
    finish = choice.get("finish_reason")
    return Reply(
        content=text_of(message.get("content")),
        reasoning=reasoning_of(message) or reasoning_of(choice),
        tool_calls=bool(message.get("tool_calls") or message.get("function_call")),
        refusal=text_of(message.get("refusal")),
        finish_reason=finish if isinstance(finish, str) else None,
        usage=read_usage(document.get("usage")),
        choice=choice,
    )


def read_usage(value: object) -> Usage:
    """Return the usage in a completion or in its last chunk."""
    usage = mapping(value)
    cached = count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")) or 0
    return Usage(
        prompt=count(usage.get("prompt_tokens")), completion=count(usage.get("completion_tokens")), cached=cached
    )


def reasoning_of(message: Mapping[str, object]) -> str:
    """Return what a model thought before it answered, where engine or provider tells."""
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if isinstance(text, str) and text.strip():
            return text
    return ""


def spoken(content: str) -> str:
    """Return an answer without the thoughts that some engines leave at its beginning."""
    return _THOUGHT.sub("", content, count=1) if content.lstrip().startswith("<think>") else content


def unusable(reply: Reply, others: Iterable[Reply] = ()) -> Unusable | None:
    """Return why an answer is no success: it says nothing, says it in a loop, or says word for word what another said.

    As upstream has it, thoughts without an answer are something to judge by, and calls of tools are not.
    """
    text = spoken(reply.content)
    if not text.strip() and not reply.reasoning.strip():
        return "empty"
    if loops(text or reply.reasoning, cut=reply.finish_reason == "length"):
        return "looping"
    words = normalised(text)
    if words and any(words == normalised(spoken(other.content)) for other in others):
        return "repeated"
    return None


def normalised(text: str) -> tuple[str, ...]:
    """Return the words of a text, without case, punctuation and forms; where it has no words, its characters."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\N{MINUS SIGN}", "-")
    return tuple(word.strip() for word in _WORD.findall(plain)) or tuple(plain.split())


def loops(text: str, *, cut: bool) -> bool:
    """Tell whether most of a text is the same few words, over and over up to its end."""
    units: Sequence[str] = text.split()
    if len(text) > 40 * max(len(units), 1):
        # A script without spaces, or no words at all.
        units = text.strip()
    tail = units[-_TAIL:]
    for period in range(1, min(_LONGEST_LOOP, len(tail) // _REPEATS_WHEN_CUT) + 1):
        same = period
        while same < len(tail) and tail[-1 - same] == tail[-1 - same + period]:
            same += 1
        repeats = same // period
        if repeats >= (_REPEATS_WHEN_CUT if cut else _REPEATS) and same >= max(_LEAST_LOOPED, _LOOP_PART * len(tail)):
            return True
    return False


def best(replies: Sequence[Reply]) -> int | None:
    """Return the place of the best answer of a panel, or None where none has text.

    That is the one that is most like the others (the mean likeness of their words: shared words by all words), of
    those that were not cut off if there are such; of equals the first. Given the same answers it is always the same.
    """
    words = [frozenset(normalised(spoken(reply.content))) for reply in replies]
    able = [place for place, reply in enumerate(replies) if spoken(reply.content).strip()]
    whole = [place for place in able if replies[place].finish_reason != "length"]

    def likeness(place: int) -> float:
        others = [_jaccard(words[place], words[other]) for other in able if other != place]
        return round(sum(others) / len(others), 9) if others else 0.0

    return max(whole or able, key=lambda place: (likeness(place), -place), default=None)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 1.0
