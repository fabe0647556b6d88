"""Two real supervisors on loopback: the ranks of an engine start, fail and come back as one thing."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from rank_harness import MakeUnits, Unit, alive, wait_until


def up(leader: Unit, follower: Unit) -> tuple[int, int]:
    """Start both, and return the engines' process numbers once they serve."""
    follower.start()
    leader.start()
    leader.wait_told("READY=1")
    follower.wait_state("ready")
    return leader.wait_engine(), follower.wait_engine()


def gone(pid: int, timeout_sec: float = 5) -> None:
    wait_until(lambda: not alive(pid), f"process {pid} is gone", timeout_sec)


@pytest.mark.parametrize("first", [0, 1])
def test_any_start_order_and_a_clean_stop(units: MakeUnits, first: int) -> None:
    pair = units(2)
    leader, follower = pair
    pair[first].start()
    if first == 0:
        leader.wait_told("STATUS=waiting for node2 (127.0.0.2)")
        assert not leader.told("READY=1")
    else:
        follower.wait_told("READY=1")
        port = follower.document["group"]["port"]
        follower.wait_told(f"waiting for leader node1 at 127.0.0.1:{port}, 0 s: connection refused; tandem-engine@toy")
    pair[1 - first].start()
    leader.wait_told("READY=1")
    follower.wait_state("ready", generation=1)
    assert "node1 says: ready after" in follower.state["reason"]

    engines = [unit.wait_engine() for unit in pair]
    leader.signal(signal.SIGTERM)
    assert leader.wait_exit() == 0
    for engine in engines:
        gone(engine)
    follower.wait_state("waiting")
    follower.wait_told("last time: node1 is stopping the engine")
    follower.signal(signal.SIGTERM)
    assert follower.wait_exit() == 0


def test_all_ranks_stay_until_the_last_request_has_ended(units: MakeUnits) -> None:
    leader, follower = units(2, change=lambda _, document: document.update(stop_grace_sec=30))
    leader.control(drain=True)
    engines = up(leader, follower)
    leader.signal(signal.SIGTERM)
    wait_until((leader.directory / "control.draining").exists, "vLLM was asked to end")
    # Longer than a follower waits for a leader that is silent.
    time.sleep(2)
    assert all(alive(engine) for engine in engines)
    assert leader.told("STOPPING=1")
    leader.control(drain=True, drained=True)
    assert leader.wait_exit() == 0
    for engine in engines:
        gone(engine)
    follower.wait_told("last time: node1 is stopping the engine")


def test_a_dead_rank_ends_the_generation_and_the_group_comes_back(units: MakeUnits) -> None:
    leader, follower = units(2)
    engine, followers_engine = up(leader, follower)
    os.kill(followers_engine, signal.SIGKILL)
    assert leader.wait_exit() == 1
    leader.wait_told("STATUS=rank 1 on node2 died: exit status -9, killed by SIGKILL")
    gone(engine)
    same = follower.pid
    follower.wait_state("waiting")
    # As systemd does after RestartSec.
    leader.start().wait_told("READY=1")
    follower.wait_state("ready", generation=2)
    assert follower.pid == same
    assert alive(same)

    # The other way round: the leader's own rank dies.
    os.kill(leader.wait_engine(), signal.SIGKILL)
    assert leader.wait_exit() == 1
    follower.wait_state("waiting")
    assert "rank 0 on node1 died: exit status -9" in follower.state["reason"]


def test_a_killed_leader_takes_all_ranks_with_it(units: MakeUnits) -> None:
    leader, follower = units(2)
    engines = up(leader, follower)
    leader.signal(signal.SIGKILL)
    leader.wait_exit()
    for engine in engines:
        gone(engine, 3)
    follower.wait_state("waiting")


def test_a_killed_follower_takes_all_ranks_with_it(units: MakeUnits) -> None:
    leader, follower = units(2)
    engines = up(leader, follower)
    follower.signal(signal.SIGKILL)
    assert leader.wait_exit() == 1
    leader.wait_told("STATUS=rank 1 on node2 is lost: connection closed")
    follower.wait_exit()
    for engine in engines:
        gone(engine, 3)


def test_silence_counts_as_loss_on_both_ends(units: MakeUnits) -> None:
    """As with a cable pulled: the connections stay open, and nothing comes."""
    leader, follower = units(2)
    _, followers_engine = up(leader, follower)
    leader.signal(signal.SIGSTOP)
    gone(followers_engine)
    wait_until(lambda: "node1 is lost: nothing heard for 1.5 s" in follower.state["reason"], "follower tells")
    leader.signal(signal.SIGCONT)
    assert leader.wait_exit() == 1

    leader.start().wait_told("READY=1")
    engine = leader.wait_engine()
    follower.signal(signal.SIGSTOP)
    assert leader.wait_exit() == 1
    leader.wait_told("STATUS=rank 1 on node2 is lost: nothing heard for 1.5 s")
    gone(engine)
    follower.signal(signal.SIGCONT)
    follower.wait_state("waiting")


def test_a_follower_that_is_stopped_says_so(units: MakeUnits) -> None:
    leader, follower = units(2)
    up(leader, follower)
    follower.signal(signal.SIGTERM)
    assert follower.wait_exit() == 0
    assert leader.wait_exit() == 1
    leader.wait_told("STATUS=rank 1 on node2 left: its unit is being stopped")
    # The leader waits for it: no further restart is used up.
    leader.start().wait_told("STATUS=waiting for node2")
    follower.start()
    leader.wait_told("READY=1")


def test_a_stall_of_one_rank_ends_all(units: MakeUnits) -> None:
    leader, follower = units(2)
    engine, followers_engine = up(leader, follower)
    # A rank that hangs makes the whole engine hang: no token, no progress, and /health is fine.
    os.kill(followers_engine, signal.SIGSTOP)
    leader.control(token=False)
    assert leader.wait_exit() == 1
    leader.wait_told("STATUS=stalled: no token for 1 s")
    gone(engine)
    gone(followers_engine)
    wait_until(lambda: "stalled" in follower.state["reason"], "follower tells why")


def test_a_wrong_token_is_refused(units: MakeUnits, tmp_path: Path) -> None:
    leader, follower = units(2)
    (follower.directory / "group_token").write_text("another-token-of-the-group\n")
    follower.start()
    leader.start()
    follower.wait_told("it answers, but: the group token here and there differ")
    leader.wait_told("refused 127.0.0.2: wrong group token")
    assert not leader.engine_file.exists()
    assert not follower.engine_file.exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d["group"].update(heartbeat_timeout_sec=9), "configuration of node2 and node1 differs in: group"),
        (lambda d: d.update(engine="other"), "this leads engine toy, not other: two engines need two group ports"),
        (lambda d: d["ranks"][1].update(address="127.0.0.9"), "rank 1 belongs to node2 at 127.0.0.2, but this"),
    ],
)
def test_a_follower_that_does_not_fit_is_told_why(units: MakeUnits, change: Any, text: str) -> None:
    leader, follower = units(2, change=lambda rank, document: change(document) if rank else None)
    follower.start()
    leader.start()
    follower.wait_told(text)
    leader.wait_told(text)
    assert not leader.engine_file.exists()


def test_strangers_at_the_port_do_no_harm(units: MakeUnits) -> None:
    leader, follower = units(2)
    leader.start().wait_told("STATUS=waiting for node2")
    address = ("127.0.0.1", leader.document["group"]["port"])
    silent = [socket.create_connection(address) for _ in range(4)]
    for noise in (
        b"GET / HTTP/1.1\r\n\r\n",
        b'{"claim": {"rank": 1}, "nonce": 1}\n',
        b"\xff" * 70000,
        b"[" * 60000 + b"\n",
    ):
        with socket.create_connection(address) as stranger:
            stranger.sendall(noise)
            stranger.recv(4096)
    follower.start()
    leader.wait_told("READY=1")
    for connection in silent:
        connection.close()


def test_the_group_port_in_use_is_named(units: MakeUnits) -> None:
    leader, _ = units(2)
    port = leader.document["group"]["port"]
    with socket.create_server(("127.0.0.1", port)):
        assert leader.start().wait_exit() == 1
    leader.wait_told(f"STATUS=group port 127.0.0.1:{port} is in use")


def test_a_leader_waits_for_the_address_of_its_link(units: MakeUnits) -> None:
    def elsewhere(rank: int, document: dict[str, Any]) -> None:
        document["ranks"][0]["address"] = "192.0.2.1"  # kept for documentation: on no machine

    leader, _ = units(2, change=elsewhere)
    leader.start().wait_told("STATUS=waiting for rank 0's address 192.0.2.1: not on this node")
    leader.signal(signal.SIGTERM)
    assert leader.wait_exit() == 0
