"""Rank 0: gathers the group, runs one generation and ends with it. systemd counts the generations."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any

from tandem.rank.group import Leader
from tandem.rank.policy import State
from tandem.rank.probe import EngineClient
from tandem.rank.supervisor import SHORTEST_TOKEN, GenerationError, RefusalError, Supervisor
from tandem.rank.watch import EngineWatch

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tandem.rank.config import Api, Group

_LOOK_SEC = 2.0


async def lead(supervisor: Supervisor) -> None:
    """Run rank 0 until its generation is over, which is always an error."""
    api = supervisor.config.api
    if api is None:
        raise RefusalError("api: is null")
    api_key = supervisor.credential("api_key")
    group = supervisor.config.group if len(supervisor.config.ranks) > 1 else None
    token = supervisor.credential("group_token", shortest=SHORTEST_TOKEN) if group is not None else ""
    supervisor.check_fabric()
    await supervisor.verify_weights()
    if group is None:
        _check_port_is_free(api)
        await _generation(supervisor, api, api_key, None)
        return
    leader = await _open(supervisor, group, token)
    reason = f"{supervisor.config.leader.node} is stopping the engine"
    try:
        await _gather(supervisor, leader)
        _check_port_is_free(api)
        await _generation(supervisor, api, api_key, leader)
    except (GenerationError, RefusalError) as error:
        reason = str(error)
        raise
    finally:
        await leader.close(reason)


async def _open(supervisor: Supervisor, group: Group, token: str) -> Leader:
    """Listen on the link; wait for its address, but not for a port that another process has."""
    address = supervisor.config.leader.address
    while True:
        leader = Leader(supervisor.config, group, token, supervisor.log)
        try:
            await leader.open()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise GenerationError(
                    f"group port {address}:{group.port} is in use: by a second leader, or by another engine "
                    "with the same group port (ss -ltnp tells)"
                ) from error
            if error.errno != errno.EADDRNOTAVAIL:
                raise GenerationError(f"group port {address}:{group.port}: {error.strerror}") from error
            doubt = "is the link up? is this rank 0's node?"
            supervisor.report(State.WAITING, f"waiting for rank 0's address {address}: not on this node ({doubt})")
            await asyncio.sleep(group.heartbeat_interval_sec)
        else:
            return leader


async def _gather(supervisor: Supervisor, leader: Leader) -> None:
    """Return when every follower is here and our own weights are as they should be."""
    while True:
        while missing := leader.missing:
            names = ", ".join(f"{member.node} ({member.address})" for member in missing)
            text = f"waiting for {names}{leader.last_refusal}"
            leader.news = (State.WAITING, text)
            supervisor.report(State.WAITING, text)
            await leader.wait_for_change(_LOOK_SEC)
        # The wait may have been long; a look at unchanged files costs nothing.
        await supervisor.verify_weights()
        if not leader.missing:
            return


async def _generation(supervisor: Supervisor, api: Api, api_key: str, leader: Leader | None) -> None:
    """Start all ranks and hold on until the first of them fails."""
    number = supervisor.state.now.generation + 1
    node = supervisor.config.own.node
    supervisor.report(
        State.STARTING,
        f"starting generation {number}",
        generation=number,
        ready_after_sec=None,
        last_probe=None,
    )
    if leader is not None:
        leader.start(number)
    ends: dict[str, asyncio.Task[str]] = {}

    def watch(name: str, coroutine: Coroutine[Any, Any, str]) -> None:
        ends[name] = asyncio.create_task(coroutine, name=name)

    # In this order they are believed, should two end at the same moment: a lost peer explains our own rank's death.
    if leader is not None:
        watch("group", leader.broken())
    watch("child", supervisor.run_child({"VLLM_API_KEY": api_key}))
    watch("engine", EngineWatch(supervisor, EngineClient(api, api_key), leader).run())
    try:
        await asyncio.wait(ends.values(), return_when=asyncio.FIRST_COMPLETED)
        name, reason = next((name, task.result()) for name, task in ends.items() if task.done())
        if name == "child":
            reason = f"rank 0 on {node} {reason}"
        if leader is not None:
            # Before our own rank is killed, so that all ranks end at the same time.
            await leader.close(reason)
        raise GenerationError(reason)
    except asyncio.CancelledError:
        # Asked to stop. Requests that are under way may end, which takes all ranks: the others are let go after ours.
        ends["engine"].cancel()
        ends["child"].cancel()
        await asyncio.gather(ends["child"], return_exceptions=True)
        raise
    finally:
        if leader is not None:
            await leader.close(f"{node} is stopping the engine")
        for task in ends.values():
            task.cancel()
        await asyncio.gather(*ends.values(), return_exceptions=True)


def _check_port_is_free(api: Api) -> None:
    """Refuse to start beside another server: its answers would be taken for our engine's."""
    family = socket.AF_INET6 if ":" in api.address else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((api.address, api.port))
        except OSError as error:
            problem = (
                "is in use by another process (ss -ltnp tells)" if error.errno == errno.EADDRINUSE else error.strerror
            )
            raise GenerationError(f"api port {api.address}:{api.port} {problem}") from error
