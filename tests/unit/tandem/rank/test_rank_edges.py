"""The thin edges: systemd's socket, the state file, the line between supervisors, the engine's answers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tandem.rank.channel import Channel, ChannelError, RefusedError, accept, introduce
from tandem.rank.config import Api
from tandem.rank.notify import Notifier
from tandem.rank.policy import Completion, Health, State
from tandem.rank.probe import EngineClient
from tandem.rank.state import StateFile, read_state, state_path

TOKEN = "a-token-of-the-group"


def test_systemd_is_told_through_a_file_or_an_abstract_socket(tmp_path: Path) -> None:
    for address in (str(tmp_path / "notify"), f"@tandem-test-{os.getpid()}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind("\0" + address[1:] if address.startswith("@") else address)
            Notifier({"NOTIFY_SOCKET": address}).send(READY="1", STATUS="two\nlines\tand more")
            assert systemd.recv(1000) == b"READY=1\nSTATUS=two lines and more"
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send(READY="1")
    Notifier({}).send(READY="1")


@pytest.mark.parametrize(
    ("environment", "watchdog_sec"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_only_if_it_is_ours(environment: dict[str, str], watchdog_sec: float | None) -> None:
    assert Notifier(environment).watchdog_sec == watchdog_sec


def test_the_state_file_goes_on_counting_and_is_not_believed_when_its_writer_is_gone(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": f"{tmp_path}:/elsewhere"}
    StateFile("toy", 0, environment).update(State.READY, "ready", generation=4)
    assert read_state("toy", environment)["state"] == "ready"
    assert StateFile("toy", 0, environment).now.generation == 4

    document = json.loads((tmp_path / "toy.json").read_text())
    (tmp_path / "toy.json").write_text(json.dumps(document | {"pid": 2**30}))
    assert read_state("toy", environment)["reason"] == f"the supervisor (process {2**30}) is gone"
    (tmp_path / "toy.json").write_text("[1]")
    assert read_state("toy", environment) == {}
    assert StateFile("toy", 0, environment).now.generation == 0


def test_without_a_runtime_directory_there_is_no_file() -> None:
    StateFile("toy", 0, {}).update(State.READY, "ready")
    assert state_path("toy", {}) == Path("/run/tandem-engine/toy/toy.json")


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def over_a_connection(leader: Callable[..., Awaitable[Any]], follower: Callable[..., Awaitable[Any]]) -> list[Any]:
    """Run both ends over a socket pair; return what each returned or raised."""

    async def both() -> list[Any]:
        sockets = socket.socketpair()
        ends: list[Ends] = [await asyncio.open_connection(sock=end, limit=65536) for end in sockets]
        try:
            return await asyncio.gather(leader(*ends[0]), follower(*ends[1]), return_exceptions=True)
        finally:
            for _, writer in ends:
                writer.transport.abort()

    return asyncio.run(both())


def leader_end(token: str, objection: str | None = None) -> Callable[..., Awaitable[Any]]:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        channel, claim = await accept(reader, writer, token, lambda _: objection)
        channel.send("start", generation=1)
        return claim, await channel.receive(1)

    return end


def follower_end(token: str) -> Callable[..., Awaitable[Any]]:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        channel = await introduce(reader, writer, token, {"rank": 1})
        channel.send("beat")
        return await channel.receive(1)

    return end


def test_both_ends_prove_themselves_and_talk() -> None:
    assert over_a_connection(leader_end(TOKEN), follower_end(TOKEN)) == [
        ({"rank": 1}, {"kind": "beat"}),
        {"kind": "start", "generation": 1},
    ]


def test_neither_end_talks_to_one_without_the_token() -> None:
    leader, follower = over_a_connection(leader_end(TOKEN), follower_end("another-token"))
    assert (type(leader), str(leader)) == (RefusedError, "wrong group token")
    assert (type(follower), str(follower)) == (RefusedError, "the group token here and there differ")


def test_a_leader_without_the_token_cannot_pretend() -> None:
    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps({"protocol": "tandem-group/1", "nonce": "0" * 64}).encode() + b"\n")
        introduction = json.loads(await reader.readline())
        # Even with the follower's own proof sent back to it.
        writer.write(json.dumps({"refused": None, "proof": introduction["proof"]}).encode() + b"\n")

    _, follower = over_a_connection(impostor, follower_end(TOKEN))
    assert isinstance(follower, RefusedError)


def test_an_objection_reaches_the_follower() -> None:
    _, follower = over_a_connection(leader_end(TOKEN, "another engine"), follower_end(TOKEN))
    assert str(follower) == "another engine"


@pytest.mark.parametrize("replayed", [True, False])
def test_a_forged_or_repeated_message_ends_the_connection(*, replayed: bool) -> None:
    async def forger(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(_, writer, send_key=b"key", receive_key=b"")
        channel.send("beat")
        if replayed:
            channel._sent = 0
        else:
            channel._send_key = b"wrong"
        channel.send("beat")

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer, send_key=b"", receive_key=b"key")
        assert await channel.receive(1) == {"kind": "beat"}
        await channel.receive(1)

    _, heard = over_a_connection(forger, listener)
    assert (type(heard), str(heard)) == (ChannelError, "a message was damaged or forged")


def ask(answer: bytes, question: Callable[[EngineClient], Awaitable[Any]]) -> Any:
    """Put a question to a server that gives one canned answer."""

    async def run() -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await question(EngineClient(Api("0.0.0.0", port, "m"), "key"))

    return asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (OK + b'{"choices": [{"text": " I"}]}', "one token"),
        (OK + b'{"choices": [{"text": ""}], "usage": {"completion_tokens": 1}}', "one token"),
        (OK + b'{"choices": [{"text": ""}], "usage": {"completion_tokens": 0}}', "status 200, but no token in it"),
        (OK + b'{"choices": []}', "status 200, but not a completion"),
        (OK + b'{"choices": [{}], "usage": null}', "status 200, but not a completion"),
        (OK + b"[]", "status 200, but not a completion"),
        (OK, "status 200, but not a completion"),
        (b'HTTP/1.1 404 \r\n\r\n{"error": {"message": "no model m"}}', "status 404: no model m"),
        (b'HTTP/1.1 500 \r\n\r\n{"error": "broken"}', "status 500: broken"),
        (b"HTTP/1.1 502 \r\n\r\n<html>", "status 502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "the answer broke off or is not HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "the answer broke off or is not HTTP"),
        (b"", "the answer broke off or is not HTTP"),
    ],
)
def test_only_a_token_counts(answer: bytes, detail: str) -> None:
    completion: Completion = ask(answer, lambda client: client.complete(2))
    assert completion.detail == detail
    assert completion.ok is (detail == "one token")
    assert completion.refused is ("404" in detail)


@pytest.mark.parametrize(
    ("answer", "health"),
    [
        (OK, Health.OK),
        (b"HTTP/1.1 503 \r\n\r\n", Health.UNAVAILABLE),
        (b"HTTP/1.1 500 \r\n\r\n", Health.SILENT),
        (b"", Health.SILENT),
    ],
)
def test_health_is_told_apart(answer: bytes, health: Health) -> None:
    assert ask(answer, lambda client: client.health()) is health


def test_counters_that_do_not_come_are_none() -> None:
    assert ask(OK + b"vllm:prompt_tokens_total 3\n", lambda client: client.counters()) == {
        "vllm:prompt_tokens_total": 3.0
    }
    assert ask(b"HTTP/1.1 500 \r\n\r\n", lambda client: client.counters()) == {}
    assert ask(b"", lambda client: client.counters()) == {}
