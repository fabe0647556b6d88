"""Look at a running engine for as long as it lives, and let `policy` judge what is seen."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tandem.rank.policy import EnginePolicy, Verdict

if TYPE_CHECKING:
    from tandem.rank.group import Leader
    from tandem.rank.probe import EngineClient
    from tandem.rank.supervisor import Supervisor

_LOOK_SEC = 2.0
_TICK_SEC = 0.5


class EngineWatch:
    """Three observers, each at its own pace so that a slow answer holds up no other, and one judge."""

    def __init__(self, supervisor: Supervisor, client: EngineClient, leader: Leader | None) -> None:
        self._supervisor = supervisor
        self._client = client
        self._leader = leader
        self._limits = supervisor.config.probe
        self._look_sec = min(_LOOK_SEC, self._limits.interval_sec)
        self._policy = EnginePolicy(self._limits, time.monotonic())

    async def run(self) -> str:
        """Return why the engine has to be killed, once it has to."""
        async with asyncio.TaskGroup() as observers:
            tasks = [observers.create_task(look) for look in (self._health(), self._progress(), self._tokens())]
            while not (verdict := self._policy.tick(time.monotonic())).final:
                self._tell(verdict)
                await asyncio.sleep(min(_TICK_SEC, self._look_sec))
            for task in tasks:
                task.cancel()
        self._tell(verdict)
        return verdict.text

    async def _health(self) -> None:
        while True:
            self._policy.saw_health(await self._client.health())
            await asyncio.sleep(self._look_sec)

    async def _progress(self) -> None:
        while True:
            if self._policy.ready:
                counters = await self._client.counters()
                self._policy.saw_metrics(time.monotonic(), counters)
            await asyncio.sleep(self._limits.interval_sec)

    async def _tokens(self) -> None:
        while True:
            if self._policy.worth_probing:
                completion = await self._client.complete(self._limits.timeout_sec)
                self._policy.saw_completion(time.monotonic(), completion)
            await asyncio.sleep(self._limits.interval_sec if self._policy.ready else self._look_sec / 2)

    def _tell(self, verdict: Verdict) -> None:
        probe, ready_after_sec = self._policy.last_probe, self._policy.ready_after_sec
        self._supervisor.report(
            verdict.state,
            verdict.text,
            log_as=probe.detail if probe is not None else "",
            ready_after_sec=round(ready_after_sec, 1) if ready_after_sec is not None else None,
            last_probe={"ok": probe.ok, "latency_ms": probe.latency_ms} if probe is not None else None,
        )
        if self._leader is not None:
            self._leader.news = (verdict.state, verdict.text)
        if self._policy.ready:
            self._supervisor.ready()
