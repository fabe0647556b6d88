"""What a client asks for, and the bodies of the calls that are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.router.calls import Refused
from tandem.router.fusion.documents import count, mapping, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Only who answers the client may call tools: panel and judge could not go on with what a tool returns.
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
#: What says how the answer comes; each call has its own.
_DELIVERY = ("stream", "stream_options", "n")
#: What is about the tokens of the answer itself, which those of a panel are not.
_OF_THE_ANSWER = ("logprobs", "top_logprobs", "prompt_logprobs", "prediction")
#: What shapes an answer for the client and would bend the judge's JSON.
_SHAPE = (
    *("response_format", "stop", "stop_token_ids", "include_stop_str_in_output", "logit_bias", "min_tokens"),
    *("ignore_eos", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar"),
)
_LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be answered by a fusion.

    Attributes:
        body: As it came.
        original: The text of the last message of the user.
        max_tokens: The client's limit for its answer; None is none.
    """

    body: Mapping[str, object]
    original: str
    max_tokens: int | None

    def panel_body(self, *, temperature: float | None, max_tokens: int | None) -> dict[str, object]:
        """Return what a member is asked: the client's request without tools, as a plain call."""
        return _with(self._without(*_TOOLS, *_OF_THE_ANSWER), temperature, max_tokens)

    def judge_body(self, prompt: str, *, temperature: float | None, max_tokens: int | None) -> dict[str, object]:
        """Return what the judge is asked for its analysis: the conversation, then the prompt.

        The client's limit is for its answer, and would only cut off the analysis.
        """
        body = self._without(*_TOOLS, *_OF_THE_ANSWER, *_SHAPE, *_LIMITS)
        body["messages"] = [*self.messages, {"role": "user", "content": prompt}]
        return _with(body, temperature, max_tokens)

    def answer_body(
        self, prompt: str | None, *, temperature: float | None, max_tokens: int | None, stream: bool
    ) -> dict[str, object]:
        """Return what who answers the client is asked: everything the client wants, tools too."""
        body = self._without()
        if prompt is not None:
            body["messages"] = [*self.messages, {"role": "user", "content": prompt}]
        body = _with(body, temperature, max_tokens)
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return body

    @property
    def messages(self) -> list[object]:
        """Return the conversation."""
        messages = self.body["messages"]
        return messages if isinstance(messages, list) else []

    def _without(self, *names: str) -> dict[str, object]:
        left_out = {"model", *_DELIVERY, *names}
        return {name: value for name, value in self.body.items() if name not in left_out}


def read(body: Mapping[str, object]) -> Asked:
    """Return what a body asks for. Raises Refused where a fusion cannot give it."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(item, dict) for item in messages):
        found = "no messages" if "messages" not in body else "messages that are no list of objects, or an empty one"
        raise Refused(400, "invalid_request", f"found {found}; a fusion answers /v1/chat/completions only")
    _refuse(body)
    limits = []
    for name in _LIMITS:
        if body.get(name) is None:
            continue
        if not (limit := count(body[name])):
            raise Refused(
                400, "invalid_value", f"found {name}: {body[name]!r:.60}; write a number above 0, below 2**53"
            )
        limits.append(limit)
    texts = [text_of(mapping(item).get("content")) for item in messages if mapping(item).get("role") == "user"]
    return Asked(body, texts[-1] if texts else "", min(limits, default=None))


def _refuse(body: Mapping[str, object]) -> None:
    """Raise Refused for what would have to be ignored otherwise."""
    modalities, stream = body.get("modalities"), body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise Refused(400, "invalid_value", f"found stream: {stream!r:.60}; write true or false")
    wrong = {
        "n": (body.get("n") not in (None, 1) or body.get("n") is True, "a fusion gives one answer"),
        # A backend that knows it writes as many answers, and counts them all.
        "best_of": (body.get("best_of") not in (None, 1) or body.get("best_of") is True, "a fusion gives one answer"),
        "audio": (bool(body.get("audio")), "a fusion answers in text"),
        "modalities": (modalities not in (None, [], ["text"]), "a fusion answers in text"),
        "plugins": (bool(body.get("plugins")), "panel, judge and limits are those of the decision"),
        "continue_final_message": (bool(body.get("continue_final_message")), "a fusion begins a message of its own"),
        "echo": (bool(body.get("echo")), "a fusion begins a message of its own"),
        "use_beam_search": (bool(body.get("use_beam_search")), "a fusion gives one answer"),
    }
    for name, (is_wrong, why) in wrong.items():
        if is_wrong:
            raise Refused(400, "unsupported_parameter", f"found {name}: {body[name]!r:.60}; {why}, so leave it out")


def _with(body: dict[str, object], temperature: float | None, max_tokens: int | None) -> dict[str, object]:
    """Return the body with these values; without a value it keeps the client's."""
    if temperature is not None:
        body["temperature"] = temperature
    if max_tokens is not None:
        for name in _LIMITS:
            body.pop(name, None)
        body["max_completion_tokens"] = max_tokens
    return body
