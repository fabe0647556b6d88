"""Fusion as the server uses it, made of a configuration."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

from tandem.router.calls import Refused
from tandem.router.fusion.attempt import Setup
from tandem.router.fusion.completion import Head
from tandem.router.fusion.events import work_and_tell
from tandem.router.fusion.ledger import Ledger
from tandem.router.fusion.observer import NoObserver
from tandem.router.fusion.record import RequestRecord
from tandem.router.fusion.request import read
from tandem.router.fusion.session import Session
from tandem.router.fusion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tandem.router.calls import Fuse, FusionEvent, Route, Upstream
    from tandem.router.config.settings import Config
    from tandem.router.fusion.events import Events
    from tandem.router.fusion.observer import Observer
    from tandem.router.fusion.record import CallRecord


def build_fuse(config: Config, upstream: Upstream, observer: Observer | None = None) -> Fuse:
    """Return what runs panels over the upstream and reports to the observer. All times are the event loop's."""
    return Fusion(config, upstream, observer or NoObserver())


class Fusion:
    """Panel, judge and synthesis over an upstream. It keeps nothing between requests."""

    def __init__(self, config: Config, upstream: Upstream, observer: Observer) -> None:
        self._upstream = upstream
        self._observer = observer
        self._models = {model.name: model for model in config.providers.models}
        self._cards = {card.name: card for card in config.routing.model_cards}
        self._looper = config.general.integrations.looper
        self._virtual = {*config.general.router.names, *self._looper.fusion.names}
        priced = [model.pricing.currency for model in config.providers.models if model.pricing]
        self._currency = priced[0] if priced else None

    def run(self, route: Route, body: Mapping[str, object], *, stream: bool) -> AsyncIterator[FusionEvent]:
        """Yield what happens, last a Finished. Raises Refused, also in the middle of an answer: then that is its end.

        Closing it cancels every call that is under way: use it in contextlib.aclosing.
        """

        async def work(events: Events) -> None:
            await self._session(route, body, stream=stream, events=events).run()

        return work_and_tell(work)

    def _session(self, route: Route, body: Mapping[str, object], *, stream: bool, events: Events) -> Session:
        decision = route.decision
        if decision is None or decision.fusion is None:
            raise ValueError("a route to fusion without a decision for fusion")
        asked, fusion = read(body), decision.fusion
        began = asyncio.get_running_loop().time()
        panel = tuple(dict.fromkeys(route.models or decision.panel))
        self._refuse_virtual((*panel, fusion.model, fusion.quorum_fallback_target))
        settings = Settings(decision, fusion, panel, self._models, self._cards, asked.max_tokens, began)
        record = RequestRecord(
            id=f"chatcmpl-fusion-{uuid.uuid4().hex}",
            decision=decision.name,
            mode=fusion.analysis_mode,
            judge=fusion.model,
            panel=panel,
            quorum=settings.quorum,
            stream=stream,
            budget=settings.budget(),
            currency=self._currency,
        )

        def ended(call: CallRecord) -> None:
            if call.cost is not None:
                call.currency = self._currency
            self._observer.call_ended(decision.name, call)

        setup = Setup(
            upstream=self._upstream,
            ledger=Ledger(max_cost=settings.limits.max_cost, max_calls=settings.limits.max_upstream_calls),
            call_timeout_sec=float(self._looper.timeout_seconds),
            max_response_bytes=self._looper.max_response_bytes_mb << 20,
            began=began,
            ended=ended,
        )
        head = Head(record.id, int(time.time()), fusion.model)
        return Session(settings, asked, setup, record, head, self._observer, events, stream)

    def _refuse_virtual(self, models: tuple[str | None, ...]) -> None:
        """Raise Refused for a model that is a name of this router's own."""
        if found := self._virtual.intersection(model for model in models if model):
            raise Refused(400, "fusion_recursion", f"{min(found)} is a virtual name; a fusion asks models only")
