"""Every way `rank.json` can be wrong has a message that names the key."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tandem.rank.config import ConfigError, Member, load_config, parse_config

GOOD: dict[str, Any] = {
    "engine": "smollm2",
    "rank": 0,
    "ranks": [{"node": "node1", "address": "192.168.100.1"}, {"node": "node2", "address": "192.168.100.2"}],
    "command": ["/opt/tandem/engine/current/venv/bin/vllm", "serve"],
    "api": {"address": "127.0.0.1", "port": 8000, "model": "smollm2"},
    "group": {"port": 29499, "heartbeat_interval_sec": 2, "heartbeat_timeout_sec": 10},
    "probe": {"interval_sec": 10, "timeout_sec": 30, "stall_timeout_sec": 60, "start_timeout_sec": 1800},
    "weights": {"directory": "/var/lib/tandem/models/x/1", "manifest": "/etc/tandem/models/x.sha256"},
    "fabric": {"directory": "/var/lib/tandem/fabric", "link": "link0"},
}


def test_the_document_of_the_role_is_read() -> None:
    config = parse_config(GOOD)
    assert config.own == config.leader == Member("node1", "192.168.100.1")
    assert config.stop_grace_sec == 20
    single = copy.deepcopy(GOOD) | {"ranks": GOOD["ranks"][:1], "group": None, "weights": None, "stop_grace_sec": 5}
    assert parse_config(single).group is None
    del single["fabric"]
    assert parse_config(single).fabric is None


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda d: d.update(extra=1), "extra: unknown key; known are api, command"),
        (lambda d: d["probe"].update(interval=1), "probe.interval: unknown key"),
        (lambda d: d.pop("api"), "api: is missing"),
        (lambda d: d["group"].pop("port"), "group.port: is missing"),
        (lambda d: d.update(group=[1]), "group: expected an object, found [1]"),
        (lambda d: d.update(rank=2), "rank: found 2, but ranks lists only 2"),
        (lambda d: d.update(rank=True), "rank: expected a whole number from 0 to 65535, found true"),
        (lambda d: d.update(rank=-1), "rank: expected a whole number"),
        (lambda d: d.update(ranks=[]), "ranks: expected a list that is not empty, found []"),
        (lambda d: d["ranks"][1].update(address="node2"), 'ranks[1].address: expected an IP address, found "node2"'),
        (lambda d: d["ranks"][1].update(address="192.168.100.1"), "ranks: two ranks share an address"),
        (lambda d: d.update(command=["vllm"]), "command: expected an absolute path first, found 'vllm'"),
        (lambda d: d.update(command=["/vllm", 1]), "command: expected a list of texts"),
        (lambda d: d["api"].update(port=70000), "api.port: expected a whole number from 1 to 65535, found 70000"),
        (lambda d: d["api"].update(model=" "), 'api.model: expected a text, found " "'),
        (lambda d: d.update(api=None), "api: is null, but rank 0 serves the interface"),
        (lambda d: d.update(rank=1), "api: only rank 0 serves it"),
        (lambda d: d.update(group=None), "group: is null, but 2 ranks need it"),
        (
            lambda d: d["group"].update(heartbeat_timeout_sec=3),
            "group.heartbeat_timeout_sec: found 3, expected at least",
        ),
        (
            lambda d: d["probe"].update(timeout_sec=0),
            "probe.timeout_sec: expected a number of seconds above 0, found 0",
        ),
        (
            lambda d: d["probe"].update(timeout_sec="30"),
            'probe.timeout_sec: expected a number of seconds above 0, found "30"',
        ),
        (lambda d: d["probe"].update(stall_timeout_sec=15), "probe.stall_timeout_sec: found 15, expected at least"),
        (lambda d: d["weights"].update(directory="models"), "weights.directory: expected an absolute path"),
        (lambda d: d["fabric"].update(directory="fabric"), "fabric.directory: expected an absolute path"),
        (lambda d: d["fabric"].update(link=""), "fabric.link: expected a text"),
        (lambda d: d["fabric"].pop("link"), "fabric.link: is missing"),
    ],
)
def test_what_is_wrong_is_named(spoil: Callable[[dict[str, Any]], object], text: str) -> None:
    document = copy.deepcopy(GOOD)
    spoil(document)
    with pytest.raises(ConfigError) as caught:
        parse_config(document)
    assert str(caught.value).startswith(text)


def test_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rank.json"
    with pytest.raises(ConfigError, match=r"rank\.json: cannot be read: No such file"):
        load_config(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"rank\.json: is not JSON: "):
        load_config(path)
    path.write_text(json.dumps(GOOD | {"rank": 7}))
    with pytest.raises(ConfigError, match=r"rank\.json: rank: found 7"):
        load_config(path)
