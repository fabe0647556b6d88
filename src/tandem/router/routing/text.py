"""What of a request is looked at: the text for keywords and embeddings, and an estimate of its tokens.

Both follow upstream: the text is that of the last user message that has any, or without one all that is not the
user's or a tool's. The estimate counts everything that takes room in a model's context.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from tandem.router.calls import Refused
from tandem.router.config.values import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of longer text the beginning and the end are scanned for keywords, half of this each.
MAX_SCANNED_BYTES = 1 << 20
#: Of longer text an embedding sees its beginning, middle and end, a third of this each: what models of this kind read.
MAX_EMBEDDED_CHARACTERS = 2048

_MAX_TOKENS = (1 << 63) - 1
_BYTES_PER_TOKEN = 4
_IMAGE_TOKENS = 8192
_MESSAGE_TOKENS = 4
_TOOL_TOKENS = 8
_IMAGES = ("image", "image_url", "input_image")
_TEXTS = ("text", "input_text", "output_text")


def messages_of(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the messages of a chat. Raises Refused."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        found = "no messages" if messages is None else f"messages: {describe(messages)}"
        raise Refused(400, "invalid_request", f"{found}; send a list of messages")
    if not messages:
        raise Refused(400, "invalid_request", "messages is empty; send at least one message")
    return messages


def text_of_chat(messages: Sequence[object]) -> str:
    """Return the text that signals look at. Raises Refused for what is no message."""
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise Refused(400, "invalid_request", f"messages[{index}]: {describe(message)}; send an object with a role")
    chat = cast("Sequence[Mapping[str, object]]", messages)
    # Of a long chat only its end is looked at.
    users = (_content(message.get("content")) for message in reversed(chat) if message.get("role") == "user")
    if user := next(filter(None, users), ""):
        return user
    others = (message for message in chat if message.get("role") in ("system", "developer", "assistant"))
    return " ".join(filter(None, (_content(message.get("content")) for message in others)))


def _content(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type", "") in ("text", ""))
    return " ".join(text for text in texts if isinstance(text, str) and text)


def prompt_of(body: Mapping[str, object]) -> object:
    """Return the prompt of /v1/completions: text, tokens, or a list of either. Raises Refused."""
    prompt = body.get("prompt")
    if isinstance(prompt, str) or (isinstance(prompt, list) and prompt):
        return prompt
    found = "no prompt" if prompt is None else f"prompt: {describe(prompt)}" if prompt != [] else "prompt is empty"
    raise Refused(400, "invalid_request", f"{found}; send text, or a list of texts or tokens")


def text_of_prompt(prompt: object) -> str:
    """Return the text that signals look at; tokens have none."""
    if isinstance(prompt, str):
        return prompt
    return " ".join(part for part in prompt if isinstance(part, str)) if isinstance(prompt, list) else ""


def scanned(text: str) -> bytes:
    """Return what is scanned for keywords."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_SCANNED_BYTES:
        return data
    half = MAX_SCANNED_BYTES // 2
    # The line between the halves keeps words from meeting that are far apart.
    return b"\n".join((data[:half], data[-half:])).decode(errors="ignore").encode()


def embedded(text: str) -> str:
    """Return what an embedding sees."""
    text = text.strip()
    if len(text) <= MAX_EMBEDDED_CHARACTERS:
        return text
    part = MAX_EMBEDDED_CHARACTERS // 3
    middle = (len(text) - part) // 2
    return "\n...\n".join((text[:part], text[middle : middle + part], text[-part:]))


def tokens_of(body: Mapping[str, object]) -> int:
    """Return about how many tokens a request takes, answer included; rather too many than too few. Raises Refused."""
    count = _Count()
    try:
        messages = body.get("messages")
        for message in messages if isinstance(messages, list) else ():
            count.message(message)
        prompt = body.get("prompt")
        if prompt is not None:
            count.prompt(prompt)
        for key in ("tools", "functions"):
            count.tools(body.get(key))
        for key in ("tool_choice", "function_call", "response_format"):
            count.structure(body.get(key))
        count.answer(body.get("max_completion_tokens"), body.get("max_tokens"))
    except (RecursionError, ValueError):
        raise Refused(400, "invalid_request", "the request is nested too deeply, or has a number too long") from None
    return min(count.total(), _MAX_TOKENS)


class _Count:
    """Upstream's estimate: 4 bytes of text for a token, 1 of anything structured, and what frames them."""

    def __init__(self) -> None:
        self._text_bytes = 0
        self._others = 0

    def total(self) -> int:
        return -(-self._text_bytes // _BYTES_PER_TOKEN) + self._others

    def message(self, message: object) -> None:
        self._others += _MESSAGE_TOKENS
        if not isinstance(message, dict):
            self.structure(message)
            return
        for key in ("role", "name", "tool_call_id", "refusal", "reasoning_content"):
            self._text(message.get(key))
        content = message.get("content")
        if message.get("role") in ("tool", "function"):
            self._others += _TOOL_TOKENS
            for part in content if isinstance(content, list) else (content,):
                self._part(part, texts=())
        elif isinstance(content, str):
            self._text(content)
        else:
            for part in content if isinstance(content, list) else (content,):
                self._part(part, texts=_TEXTS)
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else (calls,):
            self._call(call, call.get("function") if isinstance(call, dict) else None)
        if message.get("function_call") is not None:
            self._call({}, message["function_call"])

    def prompt(self, prompt: object) -> None:
        for part in prompt if isinstance(prompt, list) else (prompt,):
            if isinstance(part, str):
                self._text(part)
            else:
                self._others += len(part) if isinstance(part, list) else 1

    def tools(self, definitions: object) -> None:
        for definition in definitions if isinstance(definitions, list) else (definitions,):
            if definition is not None:
                self._others += _TOOL_TOKENS if isinstance(definitions, list) else 0
                self.structure(definition)

    def structure(self, value: object) -> None:
        if value is not None:
            self._others += _size(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def answer(self, *limits: object) -> None:
        limit = next((limit for limit in limits if limit is not None), None)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0:
            self._others += limit
        else:
            self.structure(limit)

    def _text(self, value: object) -> None:
        if isinstance(value, str):
            self._text_bytes += _size(value)
        else:
            self.structure(value)

    def _part(self, part: object, texts: tuple[str, ...]) -> None:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, dict) and kind in _IMAGES:
            self._others += _IMAGE_TOKENS
        elif isinstance(part, dict) and kind in texts and part.get("text") is not None:
            self._text(part["text"])
        else:
            self.structure(part)

    def _call(self, call: object, function: object) -> None:
        if call is None:
            return
        self._others += _TOOL_TOKENS
        if not isinstance(call, dict) or not isinstance(function, dict):
            self.structure(call or function)
            return
        for value in (call.get("id"), call.get("type"), call.get("tool_call_id"), function.get("name")):
            self._text(value)
        self.structure(function.get("arguments"))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
