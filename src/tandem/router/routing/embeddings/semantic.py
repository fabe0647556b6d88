"""Embedding signals: how like its candidates a request is, less how like its negative candidates.

Candidates are embedded once. While no embeddings are to be had, requests are told so at once, and a task tries again
from time to time; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from tandem.router.routing.embedder import EmbeddingFailed
from tandem.router.routing.route import Degraded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tandem.router.config.routing import EmbeddingSignal
    from tandem.router.routing.embedder import Embedder, Vectors
    from tandem.router.routing.observer import RoutingObserver

_log = logging.getLogger(__name__)
#: Requests that wait for their embedding; more are told that it is busy.
MAX_WAITING = 256
#: Scores that are kept, by a hash of the text: no text is.
MAX_CACHED = 4096
FIRST_PAUSE_SEC = 1.0
LAST_PAUSE_SEC = 30.0
#: Vectors of the same text differ by rounding.
_DIGITS = 4


class Bank:
    """The candidates of all signals: which vectors belong to which, and how their likeness becomes a score.

    As upstream: `max` and `any` are the likeness to the nearest candidate, `mean` the mean of all; negative candidates
    are scored the same way, and subtracted. (Upstream's clusters of candidates, `prototype_scoring`, are not here.)
    """

    def __init__(self, signals: Sequence[EmbeddingSignal]) -> None:
        self.texts = tuple(
            dict.fromkeys(text for one in signals for text in (*one.candidates, *one.negative_candidates))
        )
        self._thresholds = {signal.name: signal.threshold for signal in signals}
        places = {text: place for place, text in enumerate(self.texts)}
        self._rules = [
            (
                signal.name,
                signal.aggregation_method == "mean",
                np.array(sorted({places[text] for text in signal.candidates})),
                np.array(sorted({places[text] for text in signal.negative_candidates}), dtype=int),
            )
            for signal in signals
        ]

    def scores(self, candidates: Vectors, vector: Vectors) -> dict[str, float]:
        """Return the score of each signal for the vector of a request."""
        likeness = candidates @ vector
        scores = {}
        for name, mean, likes, dislikes in self._rules:
            score = likeness[likes].mean() if mean else likeness[likes].max()
            if len(dislikes):
                score -= likeness[dislikes].mean() if mean else likeness[dislikes].max()
            scores[name] = round(float(score), _DIGITS)
        return scores

    def matching(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Return those that reach their threshold."""
        return {name: score for name, score in scores.items() if score >= self._thresholds[name]}


class SemanticSignals:
    """The embedding signals of a configuration."""

    def __init__(
        self,
        signals: Sequence[EmbeddingSignal],
        embedder: Embedder,
        observer: RoutingObserver,
        *,
        first_pause_sec: float = FIRST_PAUSE_SEC,
    ) -> None:
        self._bank = Bank(signals)
        self._embedder = embedder
        self._observer = observer
        self._first_pause_sec = first_pause_sec
        self._candidates: Vectors | None = None
        self._down: EmbeddingFailed | None = EmbeddingFailed("starting", "candidates are not embedded yet")
        self._cache: OrderedDict[bytes, dict[str, float]] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[dict[str, float]]] = {}
        self._repair: asyncio.Task[None] | None = None
        self.matching = self._bank.matching

    async def start(self, wait_sec: float | None = None) -> None:
        """Embed the candidates; if that fails, or takes longer, go on trying beside."""
        try:
            await asyncio.wait_for(self._prepare(), wait_sec)
        except TimeoutError:
            self._fail(EmbeddingFailed("starting", f"candidates were not embedded within {wait_sec:g} s"))
        except EmbeddingFailed as error:
            self._fail(error)

    async def close(self) -> None:
        """Stop everything that was started."""
        tasks = [*self._running.values(), *([self._repair] if self._repair else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._embedder.close()

    async def scores(self, text: str) -> Mapping[str, float]:
        """Return the score of each signal. Raises Degraded."""
        key = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        cached = self._cache.get(key)
        self._observer.embedding_cached(hit=cached is not None)
        if cached is not None:
            self._cache.move_to_end(key)
            return cached
        if self._down:
            raise Degraded(self._down.reason, str(self._down))
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= MAX_WAITING:
                raise Degraded("busy", f"{MAX_WAITING} requests wait for their embedding")
            task = self._running[key] = asyncio.create_task(self._score(key, text))
            task.add_done_callback(lambda done: self._finish(key, done))
        try:
            # Others may wait for the same: who leaves does not take it along.
            return await asyncio.shield(task)
        except EmbeddingFailed as error:
            raise Degraded(error.reason, str(error)) from None

    async def _score(self, key: bytes, text: str) -> dict[str, float]:
        try:
            vector = (await self._embedder.embed([text]))[0]
            scores = self._compare(vector)
        except EmbeddingFailed as error:
            if error.down:
                self._fail(error)
            raise
        self._cache[key] = scores
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return scores

    def _compare(self, vector: Vectors) -> dict[str, float]:
        if self._candidates is None or self._candidates.shape[1] != len(vector):
            # Another model answers than did before.
            self._candidates = None
            raise EmbeddingFailed("garbage", "embeddings are of another length than those of the candidates")
        return self._bank.scores(self._candidates, vector)

    def _finish(self, key: bytes, task: asyncio.Task[dict[str, float]]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # is seen, even where everyone who waited has left

    async def _prepare(self) -> None:
        if self._candidates is None:
            self._candidates = await self._embedder.embed(self._bank.texts)
            self._cache.clear()
        else:
            await self._embedder.embed(self._bank.texts[:1])
        self._down = None
        self._observer.embedding_available(available=True)

    def _fail(self, error: EmbeddingFailed) -> None:
        if self._repair and not self._repair.done():
            return
        _log.warning("embedding signals are left out until this is over: %s", error)
        self._down = error
        self._observer.embedding_available(available=False)
        self._repair = asyncio.create_task(self._try_again())

    async def _try_again(self) -> None:
        pause_sec = self._first_pause_sec
        while True:
            await asyncio.sleep(pause_sec)
            try:
                await self._prepare()
            except EmbeddingFailed as error:
                self._down = error
                pause_sec = min(pause_sec * 2, LAST_PAUSE_SEC)
            else:
                _log.warning("embedding signals work again")
                return
