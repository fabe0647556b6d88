"""Embedding signals: scores, and what happens when there are none to be had."""

import asyncio

import numpy as np
import pytest
from endpoint import Endpoint
from routings import CHAT, Recorder, config_of, decision, leaf, user

from tandem.errors import TandemError
from tandem.router.calls import CallFailed
from tandem.router.config.routing import EmbeddingSignal
from tandem.router.routing.build import build_routing
from tandem.router.routing.embedder import EmbeddingFailed, normalized
from tandem.router.routing.embeddings import semantic
from tandem.router.routing.embeddings.remote import RemoteEmbedder
from tandem.router.routing.embeddings.semantic import Bank, SemanticSignals
from tandem.router.routing.fetch import fetch
from tandem.router.routing.route import Degraded

SIGNALS = (
    EmbeddingSignal(name="account", threshold=0.8, candidates=("password", "reset password")),
    EmbeddingSignal(name="food", threshold=0.8, candidates=("cake recipe",)),
)


def signal(name="s", threshold=0.5, candidates=("a", "b"), **more):
    return EmbeddingSignal(name=name, threshold=threshold, candidates=candidates, **more)


def scores(one, likeness):
    """Return the score of a signal, where `likeness` tells how like the request each text is."""
    bank = Bank([one])
    candidates = np.array([[likeness[text], 0] for text in bank.texts], dtype=np.float32)
    return bank.scores(candidates, np.array([1, 0], dtype=np.float32))["s"]


@pytest.mark.parametrize(
    ("method", "negatives", "score"),
    [
        ("max", (), 0.9),
        ("any", (), 0.9),
        ("mean", (), 0.6),
        ("max", ("c", "d"), 0.9 - 0.4),
        ("any", ("c", "d"), 0.9 - 0.4),
        ("mean", ("c", "d"), 0.6 - 0.3),
    ],
)
def test_aggregation(method, negatives, score):
    likeness = {"a": 0.9, "b": 0.3, "c": 0.4, "d": 0.2}
    one = signal(aggregation_method=method, negative_candidates=negatives)
    assert scores(one, likeness) == pytest.approx(score, abs=1e-5)


def test_a_candidate_counts_once():
    assert scores(signal(candidates=("a", "b", "b"), aggregation_method="mean"), {"a": 1, "b": 0}) == 0.5


def test_the_same_text_reaches_a_threshold_of_1():
    vectors = normalized(np.random.default_rng(1).normal(size=(200, 384)).astype(np.float32))
    bank = Bank([signal(threshold=1, candidates=("a",))])
    for vector in vectors:
        found = bank.scores(vector[None], vector)
        assert bank.matching(found) == {"s": 1.0}


def test_zeros_are_like_nothing():
    assert np.array_equal(normalized(np.zeros((1, 3), dtype=np.float32)), np.zeros((1, 3)))


def run(coroutine):
    return asyncio.run(coroutine)


async def started(endpoint, recorder, **more):
    embedder = RemoteEmbedder(endpoint.config(**more), {"KEY": "secret"}, fetch)
    signals = SemanticSignals(SIGNALS, embedder, recorder, first_pause_sec=0.05)
    await signals.start()
    return signals


def test_requests_are_scored_and_kept():
    async def main():
        with Endpoint() as endpoint:
            recorder = Recorder()
            signals = await started(endpoint, recorder, api_key_env="KEY")
            assert endpoint.requests == [
                {"model": "tiny", "input": ["password", "reset password", "cake recipe"], "encoding_format": "float"}
            ]
            found = await signals.scores("reset my password")
            assert set(signals.matching(found)) == {"account"}
            assert await signals.scores("reset my password") == found
            assert len(endpoint.requests) == 2
            assert recorder.names("embedding_cached") == [(False,), (True,)]
            assert {headers["authorization"] for headers in endpoint.headers} == {"Bearer secret"}
            assert "reset my password" not in repr(signals._cache)
            await signals.close()

    run(main())


def test_the_same_text_at_once_is_embedded_once():
    async def main():
        with Endpoint() as endpoint:
            signals = await started(endpoint, Recorder())
            waiting = [asyncio.create_task(signals.scores("a cake recipe")) for _ in range(20)]
            await asyncio.sleep(0)
            waiting[0].cancel()  # a client that leaves
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert all("food" in signals.matching(found) for found in results[1:])
            assert len(endpoint.requests) == 2
            assert not signals._running
            await signals.close()

    run(main())


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(semantic, "MAX_CACHED", 3)

    async def main():
        with Endpoint() as endpoint:
            signals = await started(endpoint, Recorder())
            for text in "abcad":
                await signals.scores(text)
            assert len(signals._cache) == 3
            sent = len(endpoint.requests)
            await signals.scores("a")  # was used again, so it stayed
            assert len(endpoint.requests) == sent
            await signals.close()

    run(main())


def test_too_many_at_once_are_told_so(monkeypatch):
    monkeypatch.setattr(semantic, "MAX_WAITING", 2)

    async def main():
        with Endpoint() as endpoint:
            signals = await started(endpoint, Recorder())
            results = await asyncio.gather(*map(signals.scores, "abcd"), return_exceptions=True)
            assert [getattr(result, "reason", "fine") for result in results] == ["fine", "fine", "busy", "busy"]
            assert (await signals.scores("e")).keys() == {"account", "food"}
            await signals.close()

    run(main())


BAD_ANSWERS = {
    "no JSON": b"<html>",
    "no list": b'{"data": 5}',
    "none": b'{"data": []}',
    "too few": b'{"data": [{"index": 1, "embedding": [1]}]}',
    "text": b'{"data": [{"index": 0, "embedding": ["a"]}]}',
    "null": b'{"data": [{"index": 0, "embedding": null}]}',
    "empty": b'{"data": [{"index": 0, "embedding": []}]}',
    "not finite": b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}',
    "deep": b"[" * 100_000,
    "a list": b"[]",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_garbage(answer):
    async def main():
        with Endpoint(answer) as endpoint:
            await RemoteEmbedder(endpoint.config(max_retries=2), {}, fetch).embed(["text"])

    with pytest.raises(EmbeddingFailed) as failed:
        run(main())
    assert failed.value.reason == "garbage"
    assert failed.value.down


@pytest.mark.parametrize(
    ("what", "reason", "down", "more"),
    [
        ("slow", "timeout", True, {}),
        ("cut", "closed", True, {}),
        (503, "status", True, {}),
        (401, "status", True, {}),
        (413, "status", False, {}),
        ("good", "too_large", True, {"max_response_bytes": 10}),
        ("good", "garbage", True, {"dimensions": 5}),
    ],
)
def test_failures(what, reason, down, more):
    async def main():
        with Endpoint(what) as endpoint:
            await RemoteEmbedder(endpoint.config(**more), {}, fetch).embed(["text"])

    with pytest.raises(EmbeddingFailed) as failed:
        run(main())
    assert (failed.value.reason, failed.value.down) == (reason, down)


def test_nobody_there():
    with Endpoint() as endpoint:
        config = endpoint.config()
    with pytest.raises(EmbeddingFailed, match=r"embeddings of http://127.0.0.1:\d+/v1/embeddings: no connection"):
        run(RemoteEmbedder(config, {}, fetch).embed(["text"]))


def test_retries():
    async def main():
        with Endpoint(503, "cut", "good") as endpoint:
            rows = await RemoteEmbedder(endpoint.config(max_retries=2, dimensions=8), {}, fetch).embed(["cake"])
            assert rows.shape == (1, 8)
            assert len(endpoint.requests) == 3
            assert endpoint.requests[0]["dimensions"] == 8

    run(main())


def test_many_texts_go_in_parts_and_may_come_in_any_order():
    texts = [f"{word} {number}" for number in range(50) for word in ("cake", "reset")]

    async def main():
        with Endpoint("shuffled") as endpoint:
            rows = await RemoteEmbedder(endpoint.config(), {}, fetch).embed(texts)
            alone = [await RemoteEmbedder(endpoint.config(), {}, fetch).embed([text]) for text in texts[:4]]
            assert [len(request["input"]) for request in endpoint.requests[:2]] == [64, 36]
            assert np.allclose(rows[:4], np.concatenate(alone))
            assert np.allclose(np.linalg.norm(rows, axis=1), 1)

    run(main())


def test_a_key_that_is_not_there():
    with Endpoint() as endpoint, pytest.raises(TandemError, match="the variable KEY is not set"):
        RemoteEmbedder(endpoint.config(api_key_env="KEY"), {"KEY": " "}, fetch)


def test_a_backend_that_dies_and_comes_back():
    async def main():
        with Endpoint() as endpoint:
            recorder = Recorder()
            signals = await started(endpoint, recorder)
            kept = await signals.scores("reset password")
            endpoint.script = [503, 503, 503]
            with pytest.raises(Degraded) as degraded:
                await signals.scores("cake recipe")
            assert degraded.value.reason == "status"
            sent = len(endpoint.requests)
            with pytest.raises(Degraded, match="status 503"):
                await signals.scores("another cake")  # at once, and without asking
            assert len(endpoint.requests) == sent
            assert await signals.scores("reset password") == kept
            await until(lambda: not signals._down)
            assert set(signals.matching(await signals.scores("cake recipe"))) == {"food"}
            assert recorder.names("embedding_available") == [(True,), (False,), (True,)]
            # Candidates were still there: only one text was tried.
            assert [len(request["input"]) for request in endpoint.requests] == [3, 1, 1, 1, 1, 1, 1]
            await signals.close()

    run(main())


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_backend_that_is_not_there_at_the_start():
    async def main():
        with Endpoint(503, "cut") as endpoint:
            signals = await started(endpoint, Recorder())
            with pytest.raises(Degraded):
                await signals.scores("cake recipe")
            await until(lambda: not signals._down)
            assert set(signals.matching(await signals.scores("cake recipe"))) == {"food"}
            await signals.close()

    run(main())


def test_another_model_behind_the_same_endpoint():
    async def main():
        with Endpoint() as endpoint:
            signals = await started(endpoint, Recorder())
            await signals.scores("reset password")
            endpoint.dimensions = 6
            with pytest.raises(Degraded, match="of another length"):
                await signals.scores("cake recipe")
            await until(lambda: not signals._down)
            assert set(signals.matching(await signals.scores("reset password"))) == {"account"}
            assert [len(request["input"]) for request in endpoint.requests] == [3, 1, 1, 3, 1]
            await signals.close()

    run(main())


def test_a_text_that_is_refused_is_its_own_matter():
    async def main():
        with Endpoint() as endpoint:
            signals = await started(endpoint, Recorder())
            endpoint.script = [400]
            with pytest.raises(Degraded):
                await signals.scores("odd")
            assert await signals.scores("fine")
            await signals.close()

    run(main())


def test_a_start_does_not_wait_for_an_endpoint_that_hangs():
    async def main():
        with Endpoint("slow") as endpoint:
            signals = SemanticSignals(
                SIGNALS, RemoteEmbedder(endpoint.config(), {}, fetch), Recorder(), first_pause_sec=0.01
            )
            await signals.start(0.05)
            with pytest.raises(Degraded, match=r"not embedded within 0.05 s"):
                await signals.scores("x")
            await until(lambda: not signals._down)
            await signals.close()

    run(main())


def test_close_ends_everything():
    async def main():
        with Endpoint(503, "slow", "slow") as endpoint:
            signals = await started(endpoint, Recorder())
            await signals.close()
        return len(asyncio.all_tasks())

    assert run(main()) == 1


def remote_config(endpoint, **more):
    path = {"base_url": f"http://127.0.0.1:{endpoint.port}/v1", "model": "tiny", "timeout_seconds": 1} | more
    semantic_ = {"embedding_config": {"backend": "openai_compatible"}, "endpoint": path}
    return config_of(
        embeddings=[{"name": "account", "threshold": 0.8, "candidates": ["reset password"]}],
        keywords=[{"name": "sweet", "operator": "OR", "keywords": ["cake"]}],
        decisions=[
            decision("account", 9, leaf("embedding", "account"), models=["beta"]),
            decision("sweet", 5, leaf("keyword", "sweet"), models=["gamma"]),
        ],
        default="alpha",
        general={"model_catalog": {"embeddings": {"semantic": semantic_}}},
    )


def test_a_whole_routing_by_an_endpoint():
    async def main():
        with Endpoint() as endpoint:
            recorder = Recorder()
            routing = await build_routing(remote_config(endpoint), {}, observer=recorder)
            good = await routing.route(user("reset my password"), CHAT)
            assert (good.models, good.degraded) == (("beta",), {})
            endpoint.script = ["cut"] * 50
            bad = await routing.route(user("a cake with a password"), CHAT)
            assert (bad.models, bad.decision.name) == (("gamma",), "sweet")
            assert "embedding" in bad.degraded
            assert recorder.names("degraded") == [("embedding", "closed")]
            await routing.close()

    run(main())


def test_how_to_fetch_is_handed_in():
    async def broken(url, *, body, headers, timeout_sec, max_bytes):
        raise CallFailed("connect", f"nobody at {url}")

    async def main():
        with Endpoint() as endpoint:
            routing = await build_routing(remote_config(endpoint), {}, broken)
            found = await routing.route(user("reset my password"), CHAT)
            assert "nobody at http://127.0.0.1" in found.degraded["embedding"]
            await routing.close()
            assert not endpoint.requests

    run(main())


def test_an_endpoint_without_its_key_does_not_start():
    with Endpoint() as endpoint, pytest.raises(TandemError, match="api_key_env: the variable KEY is not set"):
        run(build_routing(remote_config(endpoint, api_key_env="KEY"), {}))


def test_signals_that_no_decision_asks_for_cost_nothing():
    config = config_of(
        embeddings=[{"name": "unused", "threshold": 0.5, "candidates": ["x"]}], decisions=[decision("all", 1)]
    )

    async def main():
        routing = await build_routing(config, {})
        assert routing._semantic is None
        await routing.close()

    run(main())
