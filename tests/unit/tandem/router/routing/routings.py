"""Configurations and stand-ins for the tests of routing."""

from __future__ import annotations

import asyncio

import yaml

from tandem.router.config.load import load
from tandem.router.routing.route import Degraded, SignalRouting

CHAT = "/v1/chat/completions"


def config_of(*, decisions=(), models=("alpha", "beta", "gamma"), default=None, general=None, **signals):
    """Return a configuration, read as a file would be."""
    document = {
        "version": "v0.3",
        "listeners": [{"name": "http", "address": "127.0.0.1", "port": 8899}],
        "providers": {
            "defaults": {"model": default} if default else {},
            "models": [{"name": name, "backend_refs": [{"endpoint": f"{name}:8000"}]} for name in models],
        },
        "routing": {"signals": signals, "decisions": list(decisions)},
        "global": general or {},
    }
    loaded = load(yaml.safe_dump(document).encode())
    assert loaded.config, loaded.problems
    return loaded.config


def decision(name, priority, rules=None, models=("alpha",), panel=()):
    """Return a decision as it is written."""
    document = {"name": name, "priority": priority}
    if rules is not None:
        document["rules"] = rules
    if panel:
        document["algorithm"] = {"type": "fusion", "fusion": {"model": "gamma", "analysis_models": list(panel)}}
    else:
        document["modelRefs"] = [{"model": model} for model in models]
    return document


def leaf(kind, name):
    return {"type": kind, "name": name}


def tree(operator, *conditions):
    return {"operator": operator, "conditions": list(conditions)}


def user(text, model="auto", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


class Scripted:
    """Embedding signals that say what they are told to."""

    def __init__(self, scores=None, threshold=0.5, reason=None):
        self.said = scores or {}
        self.threshold = threshold
        self.reason = reason
        self.texts = []
        self.closed = False

    async def scores(self, text):
        self.texts.append(text)
        if self.reason:
            raise Degraded(self.reason, f"embeddings: {self.reason}")
        return self.said

    def matching(self, scores):
        return {name: score for name, score in scores.items() if score >= self.threshold}

    async def close(self):
        self.closed = True


class Recorder:
    """Keeps everything that was told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.told.append((name, *args, *kwargs.values()))

    def names(self, what):
        return [entry[1:] for entry in self.told if entry[0] == what]


def route(config, body, path=CHAT, semantic=None, observer=None):
    """Return the route of one request."""
    return asyncio.run(SignalRouting(config, semantic, observer).route(body, path))
