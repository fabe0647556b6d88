"""Ports that somebody else already holds."""

from pathlib import Path
from typing import Any

import pytest

from tandem.inventory.check import read_cluster
from tandem.inventory.models import read_source, source_bytes
from tandem.inventory.ports import find_taken_ports

SOCKET = {
    "protocol": "tcp",
    "address": "127.0.0.1",
    "port": 8000,
    "pid": 7,
    "process": "nginx",
    "unit": "nginx.service",
}


@pytest.mark.parametrize(
    ("socket", "expected"),
    [
        (
            {},
            "vllm_engine_engines[first].port: port 8000 on node1 is in use by nginx (process id 7, unit nginx.service)",
        ),
        ({"port": 20042, "unit": None}, "ray_worker_port_min: port 20042 on node1 is in use by nginx (process id 7), "),
        ({"process": None, "pid": None, "unit": None}, "in use by an unknown process (process id unknown), "),
        ({"unit": "tandem-engine@first.service"}, None),
        ({"port": 8080}, None),
        ({"protocol": "udp"}, None),
    ],
)
def test_taken_port(draft: Any, socket: dict[str, Any], expected: str | None) -> None:
    found = [str(problem) for problem in find_taken_ports(read_cluster(draft.finish()), "node1", [SOCKET | socket])]
    assert len(found) == (expected is not None)
    assert (expected or "") in "".join(found)


def test_only_the_leader_listens_for_clients(draft: Any) -> None:
    assert not list(find_taken_ports(read_cluster(draft.finish()), "node2", [SOCKET]))


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "cannot read config.json there"), ("{", "is not JSON"), ("[]", "is not an object"), ('{"a": 1}', "")],
)
def test_source(tmp_path: Path, content: str | None, fault: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    source = read_source(str(tmp_path))
    assert fault in source.fault
    assert bool(source.fault) == (source.config is None)


def test_source_that_is_no_directory() -> None:
    assert read_source("/nonexistent/model").fault == "no such directory on the control node"


def test_source_bytes(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "sub" / "b").write_bytes(b"123")
    assert source_bytes(str(tmp_path)) == 8
