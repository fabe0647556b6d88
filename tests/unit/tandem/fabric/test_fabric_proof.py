"""Proof that requests went over RDMA."""

from __future__ import annotations

from typing import Any

import pytest
from fabric_observations import A, B

from tandem.fabric.proof import FLOOR, rdma_proof


def counters(received: int | None, sent: int | None, **names: int) -> dict[str, Any]:
    return {"counters": names or {"ip4InPkts": 1}, "received": received, "sent": sent}


BEFORE = {A: counters(1000, 2000), B: counters(3000, 4000)}


def proof(received: int | None, sent: int | None, **more: Any) -> dict[str, Any]:
    return rdma_proof("roce", BEFORE, {A: counters(received, sent), B: counters(3900, 4900)}, [A, B], **more)


def test_counters_that_rose_on_every_node_prove_it() -> None:
    found = proof(1100, 2200)
    assert found == {
        "transport": "roce",
        "proven": True,
        "message": "the traffic went over RDMA: strix1 sent 200 and received 100, strix2 sent 900 and received 900 "
        "packets",
        "nodes": {A: {"sent": 200, "received": 100}, B: {"sent": 900, "received": 900}},
    }


@pytest.mark.parametrize(
    ("received", "sent", "proven"),
    [
        (1000 + FLOOR, 2200, False),
        (1100, 2000 + FLOOR, False),
        (1000, 2000, False),
        (1000 + FLOOR + 1, 2000 + FLOOR + 1, True),
    ],
)
def test_both_ways_must_have_risen_by_more_than_the_floor(received: int, sent: int, proven: bool) -> None:
    assert proof(received, sent)["proven"] is proven


def test_a_failure_names_the_nodes_only_that_stood_still() -> None:
    message = proof(1000, 2003)["message"]
    assert message.startswith("traffic went over TCP: ")
    assert "strix1 (sent 3, received 0)" in message
    assert "strix2" not in message
    assert "NCCL_DEBUG=INFO" in message


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (counters(10, 2200), "strix1: its counters began again"),
        (counters(1100, 20), "strix1: its counters began again"),
        (counters(None, None, vendor_thing=7), "strix1: no counter of RDMA traffic is known among vendor_thing"),
        (None, "strix1: its counters were not read"),
    ],
)
def test_what_cannot_be_told_is_neither_proof_nor_failure(after: Any, words: str) -> None:
    found = rdma_proof("roce", BEFORE, {A: after, B: counters(3900, 4900)}, [A, B])
    assert found["proven"] is None
    assert "cannot tell" in found["message"]
    assert words in found["message"]


def test_one_node_that_stood_still_decides_whatever_another_tells() -> None:
    found = rdma_proof("roce", BEFORE, {A: counters(None, None), B: counters(3000, 4000)}, [A, B])
    assert found["proven"] is False
    assert "strix2 (sent 0, received 0)" in found["message"]


def test_traffic_over_tcp_is_said_plainly() -> None:
    found = rdma_proof("tcp", {}, {}, [A, B])
    assert (found["proven"], found["message"]) == (None, "the traffic went over TCP: this link has no RDMA")


def test_no_nodes_prove_nothing() -> None:
    assert rdma_proof("roce", {}, {}, [])["proven"] is None
