"""Signals and decisions: what happens to a request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from tandem.router.calls import Refused, Route
from tandem.router.config.routing import Decision
from tandem.router.config.values import describe
from tandem.router.routing import text as texts
from tandem.router.routing.decide import Decisions, Undecided
from tandem.router.routing.keywords import Keywords
from tandem.router.routing.observer import RoutingObserver, Silent

if TYPE_CHECKING:
    from tandem.router.config.settings import Config
    from tandem.router.routing.trees import Signal

#: What takes longer does not hold up other requests.
_SCANNED_AT_ONCE_BYTES = 1 << 16
_COUNTED_AT_ONCE = 500
#: Of signals, the quickest first.
FAMILIES = ("keyword", "context", "embedding")
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


class Degraded(Exception):
    """Signals that cannot be evaluated now: for a short word of why, and the whole story."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Semantic(Protocol):
    """Embedding signals."""

    async def scores(self, text: str) -> Mapping[str, float]:
        """Return how like each signal a text is. Raises Degraded, without waiting long."""
        ...

    def matching(self, scores: Mapping[str, float]) -> Mapping[str, float]:
        """Return those that reach their threshold."""
        ...

    async def close(self) -> None:
        """Stop everything that was started."""
        ...


@dataclass(slots=True)
class Evaluation:
    """What is known of one request. `details` is for people: keywords that were found, scores, tokens."""

    matches: dict[Signal, float] = field(default_factory=dict)
    families: set[str] = field(default_factory=set)
    degraded: dict[str, str] = field(default_factory=dict)
    timings_sec: dict[str, float] = field(default_factory=dict)
    details: dict[Signal, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a request, and what happens to it."""

    model: str
    text: str
    evaluation: Evaluation
    result: Route | Refused


class SignalRouting:
    """Routing by the signals and decisions of a configuration."""

    def __init__(self, config: Config, semantic: Semantic | None, observer: RoutingObserver | None = None) -> None:
        self._config = config
        self._semantic = semantic
        self._observer = observer or Silent()
        self._default = config.providers.defaults.model
        self._models = frozenset(model.name for model in config.providers.models)
        self._auto = frozenset(config.general.router.names)
        self._fusion = frozenset(config.general.integrations.looper.fusion.names)
        decisions = config.routing.decisions
        panels = Decisions(decision for decision in decisions if decision.fusion)
        # A panel is asked by chat, so /v1/completions has the other decisions only.
        singles = Decisions(decision for decision in decisions if not decision.fusion)
        self._candidates = {
            (CHAT, False): Decisions(decisions),
            (CHAT, True): panels,
            (COMPLETIONS, False): singles,
        }
        self._keywords = Keywords(config.routing.signals.keywords)
        self._context = config.routing.signals.context

    async def close(self) -> None:
        """Stop what embeds."""
        if self._semantic:
            await self._semantic.close()

    async def route(self, body: Mapping[str, object], path: str) -> Route:
        """Return what happens to the request. Raises Refused."""
        name, candidates, text = self._read(body, path)
        if candidates is None:
            return Route(models=(name,))
        start = perf_counter()
        evaluation = Evaluation()
        decision = await self._decide(candidates, evaluation, body, text)
        self._observer.decided(decision.name if decision else None, perf_counter() - start)
        return self._route(name, decision, evaluation)

    async def explain(self, body: Mapping[str, object], path: str) -> Explanation:
        """Return what happens to the request, with every signal that any of its decisions asks for. Raises Refused."""
        name, candidates, text = self._read(body, path)
        evaluation = Evaluation()
        if candidates is None:
            return Explanation(name, text, evaluation, Route(models=(name,)))
        for family in FAMILIES:
            if family in candidates.families:
                await self._evaluate(family, evaluation, body, text)
        outcome = candidates.choose(evaluation.matches, FAMILIES)
        try:
            result: Route | Refused = self._route(name, outcome if isinstance(outcome, Decision) else None, evaluation)
        except Refused as refused:
            result = refused
        return Explanation(name, text, evaluation, result)

    def _read(self, body: Mapping[str, object], path: str) -> tuple[str, Decisions | None, str]:
        """Return the name of the model, what may take the request, and the text that signals look at."""
        name = self._model_name(body)
        if path == CHAT:
            messages = texts.messages_of(body)
        elif path == COMPLETIONS:
            prompt = texts.prompt_of(body)
        if name in self._models:
            return name, None, ""
        candidates = self._candidates_of(name, path)
        return name, candidates, texts.text_of_chat(messages) if path == CHAT else texts.text_of_prompt(prompt)

    def _model_name(self, body: object) -> str:
        if not isinstance(body, Mapping):
            raise Refused(400, "invalid_request", f"the body is {describe(body)}; send a JSON object")
        name = body.get("model")
        if not isinstance(name, str) or not name:
            found = "no model" if name is None else f"model: {describe(name)}"
            raise Refused(400, "invalid_request", f"{found}; name one of {self._names()}")
        if name not in self._models and name not in self._auto and name not in self._fusion:
            raise Refused(
                404, "model_not_found", f"the model {describe(name)} does not exist; name one of {self._names()}"
            )
        return name

    def _names(self) -> str:
        """Return the names that a client can use: not all of very many."""
        names = [*self._config.general.router.names]
        if any(decision.fusion for decision in self._config.routing.decisions):
            names += self._config.general.integrations.looper.fusion.names
        names += [model.name for model in self._config.providers.models]
        return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")

    def _candidates_of(self, name: str, path: str) -> Decisions:
        fusion = name in self._fusion
        if (path, fusion) in self._candidates:
            return self._candidates[path, fusion]
        paths = CHAT if fusion else f"{CHAT} and {COMPLETIONS}"
        raise Refused(400, "invalid_request", f"{describe(name)} is a virtual name of {paths}; name a model for {path}")

    def _route(self, name: str, decision: Decision | None, evaluation: Evaluation) -> Route:
        if decision:
            models = decision.panel
        elif name in self._fusion:
            why = "; ".join(evaluation.degraded.values())
            message = f"no fusion decision fits this request to {describe(name)}" + (f" ({why})" if why else "")
            raise Refused(400, "no_matching_decision", message)
        elif self._default:
            models = (self._default,)
        else:
            message = "no decision fits this request, and there is no default model; name a model"
            raise Refused(400, "no_matching_decision", message)
        return Route(
            models=models,
            decision=decision,
            signals=tuple(f"{kind}:{signal}" for kind, signal in evaluation.matches),
            degraded=evaluation.degraded,
            timings_sec=evaluation.timings_sec,
        )

    async def _decide(
        self, candidates: Decisions, evaluation: Evaluation, body: Mapping[str, object], text: str
    ) -> Decision | None:
        """Evaluate families, the quickest first, until the outcome is clear."""
        outcome = candidates.certain
        for family in FAMILIES:
            if not isinstance(outcome, Undecided):
                return outcome
            if family in candidates.families:
                await self._evaluate(family, evaluation, body, text)
                outcome = candidates.choose(evaluation.matches, evaluation.families)
        return None if isinstance(outcome, Undecided) else outcome

    async def _evaluate(self, family: str, evaluation: Evaluation, body: Mapping[str, object], text: str) -> None:
        """Evaluate all signals of a family. Raises Refused."""
        start = perf_counter()
        before = len(evaluation.matches)
        if family == "keyword":
            await self._evaluate_keywords(evaluation, text)
        elif family == "context":
            await self._evaluate_context(evaluation, body)
        else:
            await self._evaluate_embeddings(evaluation, text)
        evaluation.families.add(family)
        evaluation.timings_sec[family] = perf_counter() - start
        self._observer.family_evaluated(family, evaluation.timings_sec[family])
        for kind, name in list(evaluation.matches)[before:]:
            self._observer.signal_matched(kind, name)

    async def _evaluate_keywords(self, evaluation: Evaluation, text: str) -> None:
        data = texts.scanned(text)
        if len(data) <= _SCANNED_AT_ONCE_BYTES:
            found = self._keywords.match(data)
        else:
            found = await asyncio.to_thread(self._keywords.match, data)
        for name, words in found.items():
            evaluation.matches["keyword", name] = 1.0
            evaluation.details["keyword", name] = words

    async def _evaluate_context(self, evaluation: Evaluation, body: Mapping[str, object]) -> None:
        messages = body.get("messages")
        if isinstance(messages, list) and len(messages) > _COUNTED_AT_ONCE:
            tokens = await asyncio.to_thread(texts.tokens_of, body)
        else:
            tokens = texts.tokens_of(body)
        for signal in self._context:
            evaluation.details["context", signal.name] = tokens
            if (signal.min_tokens or 0) <= tokens and (signal.max_tokens is None or tokens <= signal.max_tokens):
                evaluation.matches["context", signal.name] = 1.0

    async def _evaluate_embeddings(self, evaluation: Evaluation, text: str) -> None:
        text = texts.embedded(text)
        if not text or self._semantic is None:
            return
        try:
            scores = await self._semantic.scores(text)
        except Degraded as error:
            # The conditions do not hold, so that other decisions can take the request.
            evaluation.degraded["embedding"] = str(error)
            self._observer.degraded("embedding", error.reason)
            return
        for name, score in scores.items():
            evaluation.details["embedding", name] = score
        for name, score in self._semantic.matching(scores).items():
            evaluation.matches["embedding", name] = score
