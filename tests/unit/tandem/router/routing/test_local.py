"""The router's own model, which is in the test environment: nothing here is a stand-in."""

import asyncio
import subprocess
import sys
import threading

import numpy as np
import pytest
from routings import CHAT, config_of, decision, leaf, route, user

from tandem.router.routing.build import build_routing
from tandem.router.routing.embedder import EmbeddingFailed
from tandem.router.routing.embeddings import local
from tandem.router.routing.embeddings.local import LocalEmbedder, LocalModel

pytestmark = pytest.mark.slow

CONFIG = config_of(
    embeddings=[
        {
            "name": "account",
            "threshold": 0.15,
            "candidates": ["I forgot my password", "reset the password of my account", "I cannot log in"],
            "negative_candidates": ["how to hash passwords in code"],
        },
        {"name": "cooking", "threshold": 0.3, "candidates": ["recipe for chocolate cake", "what can I cook tonight"]},
    ],
    keywords=[{"name": "code", "operator": "OR", "keywords": ["bcrypt"]}],
    decisions=[
        decision("account", 9, leaf("embedding", "account"), models=["beta"]),
        decision("cooking", 8, leaf("embedding", "cooking"), models=["gamma"]),
        decision("code", 7, leaf("keyword", "code"), models=["alpha"]),
    ],
    default="alpha",
)


@pytest.fixture(scope="module")
def model():
    return LocalModel()


def test_vectors_are_those_of_the_published_model(model):
    """Likenesses of all-MiniLM-L6-v2 with its original weights (32 bits), rounded."""
    rows = model.embed(["How do I reset my password?", "I forgot my password", "recipe for chocolate cake"])
    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.allclose(rows @ rows[0], [1, 0.780, 0.081], atol=0.02)


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00", "数据", "🎉" * 3000, "x" * 100_000, "a " * 5000])
def test_any_text_has_a_vector(model, text):
    (row,) = model.embed([text])
    assert np.isfinite(row).all()


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("how can i get a new password, mine doesn't work", ("beta",)),
        ("Please help, I can't sign in to my account", ("beta",)),
        ("what should I bake for her birthday?", ("gamma",)),
        ("How do I hash passwords with bcrypt in code?", ("alpha",)),
        ("Who was Leonhard Euler?", ("alpha",)),
    ],
)
def test_requests_by_their_meaning(text, models):
    async def main():
        routing = await build_routing(CONFIG, {})
        found = await routing.route(user(text), CHAT)
        await routing.close()
        return found

    found = asyncio.run(main())
    assert (found.models, found.degraded) == (models, {})


def test_the_event_loop_goes_on_meanwhile(model):
    async def main():
        embedder = LocalEmbedder(model, 60)
        turns = 0
        task = asyncio.create_task(embedder.embed(["word " * 200] * 20))
        while not task.done():
            await asyncio.sleep(0.001)
            turns += 1
        await embedder.close()
        return turns

    assert asyncio.run(main()) > 10


def test_together_is_like_one_by_one(model):
    texts = ["password", "I forgot my password and cannot log in", "x " * 90, "", "recipe for chocolate cake"] * 4
    alone = np.concatenate([model.embed([text]) for text in texts])
    assert np.allclose(model.embed(texts), alone, atol=1e-4)

    async def main():
        embedder = LocalEmbedder(model, 60)
        waiting = [asyncio.create_task(embedder.embed([text])) for text in texts]
        await asyncio.sleep(0)
        waiting[3].cancel()
        rows = await asyncio.gather(*waiting, return_exceptions=True)
        await embedder.close()
        return rows

    rows = asyncio.run(main())
    assert isinstance(rows.pop(3), asyncio.CancelledError)
    assert np.allclose(np.concatenate(rows), np.delete(alone, 3, axis=0), atol=1e-4)


def test_what_breaks_in_the_thread_is_told_to_who_waits():
    class Broken:
        def embed(self, texts):
            raise RuntimeError("broken")

    async def main():
        embedder = LocalEmbedder(Broken(), 60)
        results = await asyncio.gather(*(embedder.embed(["x"]) for _ in range(3)), return_exceptions=True)
        await embedder.close()
        return results

    results = asyncio.run(main())
    assert [type(result) for result in results] == [EmbeddingFailed] * 3
    assert "broken" in str(results[0])


def test_a_model_that_takes_too_long():
    release = threading.Event()

    class Stuck:
        def embed(self, texts):
            release.wait(20)

    async def main():
        embedder = LocalEmbedder(Stuck(), 0.05)
        try:
            with pytest.raises(EmbeddingFailed, match=r"more than 0.05 s") as failed:
                await embedder.embed(["x"])
            assert not failed.value.down
        finally:
            release.set()
            await embedder.close()

    asyncio.run(main())


def test_other_weights_are_refused(monkeypatch):
    monkeypatch.setattr(local, "MODEL_SHA256", "0" * 64)
    with pytest.raises(EmbeddingFailed, match="not the model that this router knows"):
        LocalModel()


def test_without_its_extra_it_says_what_is_missing(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        """\
version: v0.3
listeners: [{name: http, address: localhost, port: 8899}]
providers: {models: [{name: chat, backend_refs: [{endpoint: "chat:8000"}]}]}
routing:
  signals: {embeddings: [{name: help, threshold: 0.5, candidates: [password reset]}]}
  decisions: [{name: help, priority: 1, rules: {type: embedding, name: help}, modelRefs: [{model: chat}]}]
"""
    )
    program = "import sys; sys.modules['onnxruntime'] = None; from tandem import cli; sys.exit(cli.main(sys.argv[1:]))"
    argv = [sys.executable, "-c", program, "router", "explain", str(path), "--text", "x"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "embedding signals, which need onnxruntime" in done.stderr
    assert "tandem[router-embeddings]" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_embedding_signals_nothing_of_it_is_loaded():
    program = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1]); from routings import *; "
        "from tandem.router.routing.build import build_routing; "
        "asyncio.run(build_routing(config_of(decisions=[decision('all', 1)]), {})); "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'onnxruntime', 'tokenizers')))"
    )
    done = subprocess.run([sys.executable, "-c", program, __file__.rpartition("/")[0]], timeout=60, check=False)
    assert done.returncode == 0


def test_route_without_embeddings_still_works():
    assert route(CONFIG, user("bcrypt")).models == ("alpha",)


def test_long_text_is_read_at_three_places():
    tokens = local._window(list(range(1000)))
    assert len(tokens) <= local.MAX_TOKENS
    assert (tokens[0], tokens[-1]) == (0, 999)
    assert 500 in tokens
    assert local._window(tokens) == tokens
