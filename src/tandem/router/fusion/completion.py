"""The answer to the client: a chat.completion, whole or in chunks under one id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tandem.router.calls import CallFailed
from tandem.router.fusion.answers import Reply, Usage, read_usage
from tandem.router.fusion.documents import first, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tandem.router.config.routing import Fusion
    from tandem.router.fusion.analysis import Analysis
    from tandem.router.fusion.record import RequestRecord

#: A judge thinks about the panel, which is nobody's business; upstream leaves it out as well.
_THOUGHTS = ("reasoning", "reasoning_content", "reasoning_details")


@dataclass(frozen=True, slots=True)
class Head:
    """What is the same in every chunk."""

    id: str
    created: int
    model: str

    def chunk(self, choice: Mapping[str, object]) -> dict[str, object]:
        """Return a chat.completion.chunk."""
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
        }

    def chunks_of(self, choice: Mapping[str, object]) -> list[dict[str, object]]:
        """Return the chunks of a whole choice: what it says, and its end."""
        message = mapping(choice.get("message"))
        delta = {"index": 0, "delta": {"role": "assistant", "content": message.get("content")}, "finish_reason": None}
        end = {"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason")}
        return [self.chunk(delta), self.chunk(end)]

    def completion(self, choice: Mapping[str, object], usage: Mapping[str, int]) -> dict[str, object]:
        """Return the whole chat.completion."""
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            "usage": dict(usage),
        }


def choice_of(reply: Reply) -> dict[str, object]:
    """Return the choice of a plain answer for the client."""
    message = {name: value for name, value in mapping(reply.choice.get("message")).items() if name not in _THOUGHTS}
    rest = {name: value for name, value in reply.choice.items() if name not in (*_THOUGHTS, "message")}
    finish = ended(reply.finish_reason or "stop", with_tools=reply.tool_calls)
    return {**rest, "index": 0, "message": {**message, "role": "assistant"}, "finish_reason": finish}


def ended(finish_reason: str, *, with_tools: bool) -> str:
    """Return why an answer ended. Some engines say `stop` of one that calls tools; one that was cut off stays so."""
    return "tool_calls" if with_tools and finish_reason == "stop" else finish_reason


def choice_of_text(content: str, finish_reason: str | None) -> dict[str, object]:
    """Return a choice that says this and nothing else."""
    message = {"role": "assistant", "content": content}
    return {"index": 0, "message": message, "finish_reason": finish_reason or "stop"}


@dataclass(slots=True)
class Assembly:
    """A streamed answer: gives what is to be sent on, and becomes the whole answer.

    Nothing is sent on before the answer says something, so that one which never does can be replaced by another.
    """

    head: Head
    started: bool = field(default=False, init=False)
    finish_reason: str | None = field(default=None, init=False)
    usage: Usage = field(default=Usage(), init=False)
    _texts: dict[str, list[str]] = field(default_factory=dict, init=False)
    _tools: dict[int, dict[str, object]] = field(default_factory=dict, init=False)
    _function: dict[str, object] = field(default_factory=dict, init=False)
    _logprobs: list[object] = field(default_factory=list, init=False)
    _waiting: list[dict[str, object]] = field(default_factory=list, init=False)

    def add(self, document: Mapping[str, object]) -> list[dict[str, object]]:
        """Take a chunk as the engine sent it and return those to be sent on. Raises CallFailed for an error in it."""
        if error := document.get("error"):
            message = mapping(error).get("message") or error
            raise CallFailed("closed", f"the backend ended its stream with an error: {str(message)[:300]}")
        usage = read_usage(document.get("usage"))
        if usage.known:
            self.usage = usage
        choice = first(document.get("choices"))
        if not choice or choice.get("index", 0) != 0:
            return []
        delta = {name: value for name, value in mapping(choice.get("delta")).items() if name not in _THOUGHTS}
        finish = choice.get("finish_reason")
        says = self._take(delta)
        if isinstance(finish, str):
            finish = ended(finish, with_tools=bool(self._tools))
            self.finish_reason = finish
        self._logprobs += _tokens(choice.get("logprobs"))
        return self._pass_on({**choice, "index": 0, "delta": delta, "finish_reason": finish}, says=says)

    def _pass_on(self, choice: dict[str, object], *, says: bool) -> list[dict[str, object]]:
        if not (choice["delta"] or choice["finish_reason"] or choice.get("logprobs")):
            return []
        self._waiting.append(self.head.chunk(choice))
        self.started = self.started or says
        if not self.started:
            return []
        ready, self._waiting = self._waiting, []
        return ready

    def _take(self, delta: Mapping[str, object]) -> bool:
        """Add a delta to the whole, and tell whether it says anything."""
        says = False
        for name in ("content", "refusal"):
            if isinstance(text := delta.get(name), str) and text:
                self._texts.setdefault(name, []).append(text)
                says = says or bool(text.strip())
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            index = mapping(call).get("index", place)
            merge(self._tools.setdefault(index if isinstance(index, int) else place, {}), mapping(call))
            says = True
        if function := mapping(delta.get("function_call")):
            merge(self._function, function)
            says = True
        return says

    @property
    def content(self) -> str:
        """Return the text so far."""
        return "".join(self._texts.get("content", ()))

    def end(self, finish_reason: str) -> dict[str, object]:
        """Return the last chunk of an answer that ends here, whatever the engine would still have said."""
        self.finish_reason = finish_reason
        return self.head.chunk({"index": 0, "delta": {}, "finish_reason": finish_reason})

    def choice(self) -> dict[str, object]:
        """Return the whole choice."""
        message: dict[str, object] = {"role": "assistant", "content": self.content or None}
        if "refusal" in self._texts:
            message["refusal"] = "".join(self._texts["refusal"])
        if self._tools:
            tools = [self._tools[index] for index in sorted(self._tools)]
            message["tool_calls"] = [{key: value for key, value in call.items() if key != "index"} for call in tools]
        if self._function:
            message["function_call"] = self._function
        found: dict[str, object] = {"index": 0, "message": message, "finish_reason": self.finish_reason or "stop"}
        return {**found, "logprobs": {"content": self._logprobs}} if self._logprobs else found


def merge(whole: dict[str, object], delta: Mapping[str, object]) -> None:
    """Add a delta of a tool call to what is there: arguments grow, everything else is said once."""
    for name, value in delta.items():
        if isinstance(value, dict):
            inner = whole.setdefault(name, {})
            if isinstance(inner, dict):
                merge(inner, value)
        elif name == "arguments" and isinstance(value, str):
            whole[name] = f"{whole.get(name) or ''}{value}"
        elif value is not None:
            whole[name] = value


def fusion_object(
    fusion: Fusion,
    record: RequestRecord,
    panel: Sequence[tuple[str, Reply]],
    analysis: Analysis | None,
) -> dict[str, object] | None:
    """Return upstream's `fusion` object with ours in it, or None where the configuration shows nothing of it.

    As upstream has it, it is there if analysis or answers are to be shown, or a member failed; here also if the answer
    is less than what was configured.
    """
    failed = [
        {"model": call.model, "error": call.error or call.outcome}
        for call in record.calls
        if (call.stage == "panel" and call.state in ("failed", "timed_out", "unusable")) or call.outcome == "busy"
    ]
    if not (fusion.include_analysis or fusion.include_intermediate_responses or failed or record.degraded):
        return None
    found: dict[str, object] = {}
    if fusion.include_analysis and analysis:
        found["analysis"] = analysis.document()
    if fusion.include_intermediate_responses:
        found["responses"] = [
            {"model": model, "content": reply.content, **({"reasoning": reply.reasoning} if reply.reasoning else {})}
            for model, reply in panel
        ]
    found["failed_models"] = failed
    found |= {"judge_model": record.judge, "analysis_models": list(record.panel)}
    found["prompt_version"] = fusion.judge_prompt_version
    if record.degraded:
        found["degraded"] = list(record.degraded)
    found["tandem"] = record.document(public=True)
    return found


def _tokens(logprobs: object) -> list[object]:
    content = mapping(logprobs).get("content")
    return content if isinstance(content, list) else []
