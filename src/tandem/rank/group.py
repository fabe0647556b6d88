"""The supervisors of one engine as a group: one leader (rank 0), who listens, and followers, who come to it.

A follower whose connection to the leader ends for any reason ends its own rank and comes again; a leader that loses a
follower ends the generation. Neither needs to know why: a cable, a reboot and a crash all look the same from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from tandem.rank.channel import LONGEST_LINE_BYTES, Channel, ChannelError, Message, accept, introduce

if TYPE_CHECKING:
    from tandem.rank.config import Group, Member, RankConfig

Log = Callable[[str], None]

_MOST_STRANGERS = 16
_REPEAT_REFUSAL_LOG_SEC = 60.0


def agreement(config: RankConfig) -> dict[str, str]:
    """Return what all ranks of one engine have to agree on: a digest for each part, so that a difference has a name."""
    manifest = config.weights.manifest.read_bytes() if config.weights is not None else b""
    parts: dict[str, object] = {
        "ranks": [asdict(member) for member in config.ranks],
        "group": asdict(config.group) if config.group is not None else None,
        "weights manifest": hashlib.sha256(manifest).hexdigest(),
    }
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16] for name, part in parts.items()
    }


class Leader:
    """Rank 0's end. Bound to the link's own address, never to all of them."""

    def __init__(self, config: RankConfig, group: Group, token: str, log: Log) -> None:
        self._config = config
        self._group = group
        self._token = token
        self._log = log
        self._agreement = agreement(config)
        self._server: asyncio.Server | None = None
        self._attending: set[asyncio.Task[None]] = set()
        self._followers: dict[int, Channel] = {}
        self._strangers = 0
        self._changed = asyncio.Event()
        self._refused: dict[tuple[str, str], float] = {}
        self.last_refusal = ""
        """The last connection that was not let in, as the end of a sentence."""
        self._broken: asyncio.Future[str] | None = None
        self.news: tuple[str, str] = ("waiting", "")
        """State and text of the leader, told to the followers with every beat."""

    async def open(self) -> None:
        """Start to listen; OSError where the address or the port cannot be had."""
        self._server = await asyncio.start_server(
            self._connected, self._config.leader.address, self._group.port, limit=LONGEST_LINE_BYTES
        )

    @property
    def missing(self) -> list[Member]:
        """The ranks that are not here."""
        return [member for rank, member in enumerate(self._config.ranks) if rank and rank not in self._followers]

    async def wait_for_change(self, timeout_sec: float) -> None:
        """Return when a follower came or went, or after `timeout_sec`."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_sec):
                await self._changed.wait()

    def start(self, generation: int) -> None:
        """Tell every follower to start its rank."""
        self._broken = asyncio.get_running_loop().create_future()
        for channel in self._followers.values():
            channel.send("start", generation=generation)

    async def broken(self) -> str:
        """Return why the generation is over, once a follower is lost."""
        if self._broken is None:
            raise RuntimeError("no generation was started")
        return await asyncio.shield(self._broken)

    async def close(self, reason: str) -> None:
        """Tell the followers why, and let them go."""
        if self._server is not None:
            self._server.close()
        channels = list(self._followers.values())
        self._followers.clear()
        for channel in channels:
            channel.send("stop", reason=reason)
        await asyncio.gather(*(channel.close() for channel in channels))
        for task in self._attending:
            task.cancel()
        await asyncio.gather(*self._attending, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: one made by asyncio prints a traceback when it is cancelled (until Python 3.12).
        task = asyncio.create_task(self._welcome(reader, writer))
        self._attending.add(task)
        task.add_done_callback(self._attending.discard)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        if peer is None or self._strangers >= _MOST_STRANGERS:
            writer.transport.abort()
            return
        address = str(peer[0])
        self._strangers += 1
        try:
            channel, claim = await accept(reader, writer, self._token, lambda claim: self._objection(claim, address))
        except ChannelError as error:
            self._log_refusal(address, str(error))
            writer.close()
            return
        finally:
            self._strangers -= 1
        await self._attend(claim["rank"], channel)

    def _objection(self, claim: Message, address: str) -> str | None:
        """Return why this follower cannot join, in words that tell what to change."""
        engine, rank, last = claim.get("engine"), claim.get("rank"), len(self._config.ranks) - 1
        if engine != self._config.engine:
            return f"this leads engine {self._config.engine}, not {engine}: two engines need two group ports"
        if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= last:
            return f"rank {rank} is not one of this engine's followers (1 to {last})"
        member = self._config.ranks[rank]
        if address != member.address:
            return f"rank {rank} belongs to {member.node} at {member.address}, but this connection is from {address}"
        theirs = claim.get("agreement")
        theirs = theirs if isinstance(theirs, dict) else {}
        if differing := sorted(name for name, digest in self._agreement.items() if theirs.get(name) != digest):
            return f"configuration of {member.node} and {self._config.leader.node} differs in: {', '.join(differing)}"
        if self._broken is not None:
            # It was part of this generation and comes as a stranger: it was restarted, faster than a heartbeat.
            self._break(f"rank {rank} on {member.node} was restarted")
            return "the former generation is just ending"
        return None

    async def _attend(self, rank: int, channel: Channel) -> None:
        """Listen to one follower until it is lost."""
        node = self._config.ranks[rank].node
        former = self._followers.pop(rank, None)
        self._followers[rank] = channel
        self._changed.set()
        if former is not None:
            await former.close()
        self._log(f"rank {rank} on {node} has joined")
        self.last_refusal = ""
        beats = asyncio.create_task(self._beat(channel))
        reason = "connection closed"
        try:
            while True:
                message = await channel.receive(self._group.heartbeat_timeout_sec)
                if message.get("kind") in {"failed", "leaving"}:
                    reason = str(message.get("reason"))
                    break
        except ChannelError as error:
            reason = f"is lost: {error}"
        finally:
            beats.cancel()
            if self._followers.get(rank) is channel:
                del self._followers[rank]
                self._changed.set()
                self._break(f"rank {rank} on {node} {reason}")
            channel.abort()

    async def _beat(self, channel: Channel) -> None:
        while True:
            channel.send("beat", state=self.news[0], text=self.news[1])
            await asyncio.sleep(self._group.heartbeat_interval_sec)

    def _break(self, reason: str) -> None:
        if self._broken is None:
            self._log(reason)
        elif not self._broken.done():
            self._broken.set_result(reason)

    def _log_refusal(self, address: str, reason: str) -> None:
        self.last_refusal = f"; refused {address}: {reason}"
        self._changed.set()
        now = time.monotonic()
        if now - self._refused.get((address, reason), -_REPEAT_REFUSAL_LOG_SEC) >= _REPEAT_REFUSAL_LOG_SEC:
            self._refused[address, reason] = now
            self._log(f"refused a connection from {address}: {reason}")


async def join_leader(config: RankConfig, group: Group, token: str, waiting: Callable[[str], None]) -> Channel:
    """Follower's end: try for ever; `waiting` is told before every attempt why the last one failed."""
    claim: Message = {
        "engine": config.engine,
        "rank": config.rank,
        "node": config.own.node,
        "agreement": agreement(config),
    }
    problem = "connecting"
    while True:
        waiting(problem)
        try:
            return await _join_once(config, group, token, claim)
        except ChannelError as error:
            problem = f"it answers, but: {error}"
        except OSError as error:
            problem = _connection_problem(config, error)
        await asyncio.sleep(group.heartbeat_interval_sec)


async def _join_once(config: RankConfig, group: Group, token: str, claim: Mapping[str, object]) -> Channel:
    async with asyncio.timeout(group.heartbeat_timeout_sec):
        # From the link's own address: so the connection takes the link, and the leader can tell who comes.
        reader, writer = await asyncio.open_connection(
            config.leader.address, group.port, local_addr=(config.own.address, 0), limit=LONGEST_LINE_BYTES
        )
        try:
            return await introduce(reader, writer, token, dict(claim))
        except BaseException:
            writer.transport.abort()
            raise


def _connection_problem(config: RankConfig, error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer (is the link up?)"
    if isinstance(error, ConnectionRefusedError):
        unit = f"tandem-engine@{config.engine}"
        return f"connection refused; {unit} on {config.leader.node} is stopped, failed or not up yet"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"the address {config.own.address} of this rank is not on this node (is the link up?)"
    return error.strerror or str(error)
