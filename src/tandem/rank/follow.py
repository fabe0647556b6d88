"""Ranks above 0: come to the leader, run when it says so, end when it is lost, and come again. For ever."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from tandem.rank.channel import Channel, ChannelError, Message
from tandem.rank.group import join_leader
from tandem.rank.policy import State
from tandem.rank.supervisor import SHORTEST_TOKEN, RefusalError, Supervisor

if TYPE_CHECKING:
    from tandem.rank.config import Group


async def follow(supervisor: Supervisor) -> None:
    """Run a follower until it is cancelled; RefusalError where only a person can help."""
    group = supervisor.config.group
    if group is None:
        raise RefusalError("group: is null")
    token = supervisor.credential("group_token", shortest=SHORTEST_TOKEN)
    last_end = ""
    while True:
        supervisor.check_fabric()
        await supervisor.verify_weights()
        channel = await _join(supervisor, group, token, last_end)
        end = await _Session(supervisor, group, channel).run()
        last_end = f"; last time: {end}"


async def _join(supervisor: Supervisor, group: Group, token: str, last_end: str) -> Channel:
    leader = supervisor.config.leader
    started = time.monotonic()

    def waiting(problem: str) -> None:
        where = f"waiting for leader {leader.node} at {leader.address}:{group.port}"
        elapsed = time.monotonic() - started
        supervisor.report(State.WAITING, f"{where}, {elapsed:.0f} s: {problem}{last_end}", log_as=problem)
        # Up from here on: boot does not wait for the other node, and the nodes may start in any order.
        supervisor.ready()

    return await join_leader(supervisor.config, group, token, waiting)


class _Session:
    """One connection to the leader, and the rank that runs as long as it holds."""

    def __init__(self, supervisor: Supervisor, group: Group, channel: Channel) -> None:
        self._supervisor = supervisor
        self._group = group
        self._channel = channel
        self._rank: asyncio.Task[str] | None = None

    async def run(self) -> str:
        """Return why the connection ended; by then the rank is dead."""
        config, channel = self._supervisor.config, self._channel
        self._supervisor.report(State.WAITING, f"joined {config.leader.node}, waiting for the start")
        beats = asyncio.create_task(self._beat())
        try:
            return await self._listen()
        except ChannelError as error:
            return f"{config.leader.node} is lost: {error}"
        except RefusalError as error:
            channel.send("failed", reason=str(error))
            raise
        except asyncio.CancelledError:
            channel.send("leaving", reason="left: its unit is being stopped")
            raise
        finally:
            beats.cancel()
            # First the word to the others, so that all ranks end at the same time.
            await channel.close()
            if self._rank is not None:
                self._rank.cancel()
                await asyncio.gather(self._rank, return_exceptions=True)

    async def _listen(self) -> str:
        """Do as the leader says until it says stop or our rank ends."""
        config = self._supervisor.config
        incoming = asyncio.create_task(self._channel.receive(self._group.heartbeat_timeout_sec))
        try:
            while True:
                ends = [incoming] if self._rank is None else [incoming, self._rank]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if self._rank is not None and self._rank.done():
                    reason = self._rank.result()
                    self._channel.send("failed", reason=reason)
                    return f"rank {config.rank} on {config.own.node} {reason}"
                message = incoming.result()
                if message.get("kind") == "stop":
                    return str(message.get("reason"))
                self._take(message)
                incoming = asyncio.create_task(self._channel.receive(self._group.heartbeat_timeout_sec))
        finally:
            incoming.cancel()

    def _take(self, message: Message) -> None:
        if message.get("kind") == "start" and self._rank is None:
            number = int(message["generation"])
            self._supervisor.report(State.STARTING, f"starting generation {number}", generation=number)
            self._rank = asyncio.create_task(self._run_rank())
        if message.get("kind") == "beat":
            self._mirror(str(message.get("state")), str(message.get("text")))

    async def _run_rank(self) -> str:
        # The wait may have been long; a look at unchanged files costs nothing.
        await self._supervisor.verify_weights()
        return await self._supervisor.run_child({})

    async def _beat(self) -> None:
        while True:
            self._channel.send("beat")
            await asyncio.sleep(self._group.heartbeat_interval_sec)

    def _mirror(self, state: str, text: str) -> None:
        """Show the leader's state as our own: the group is one thing."""
        with contextlib.suppress(ValueError):
            told = State(state)
            if self._rank is None or told in {State.STARTING, State.READY}:
                leader = self._supervisor.config.leader.node
                self._supervisor.report(told, f"{leader} says: {text}", log_as="as the leader")
