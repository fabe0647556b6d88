"""A short soak: engines that die at random under load, alone and as members of a panel.

The long one is a matter of `SOAK_SECONDS` and `SOAK_CLIENTS`. Afterwards nothing may be left: no task, no connection,
no file descriptor, and in the long one no memory; and each request got an answer or a reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from router_server import (
    COMPLETION,
    EVENTS,
    answer,
    chunk,
    configuration,
    engines,
    eventually,
    in_loop,
    piece,
    request,
    router,
)

from tandem.router.serve.connection import Limits

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("SOAK_SECONDS", "4"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "60"))
#: Memory settles in the first part of a long soak. What is more after that is a leak, apart from fragments.
LONG_SEC, SETTLED_PART, MAX_GROWTH_BYTES = 60.0, 0.3, 16 << 20
PANEL = """routing:
  decisions:
    - name: panel
      priority: 1
      modelRefs: [{model: alpha}, {model: beta}]
      algorithm: {type: fusion, fusion: {model: gamma, min_successful_responses: 1, round_timeout_seconds: 2}}
      annotations: {tandem: {panel_grace_seconds: 0.02, max_waiting_requests: 1000}}
"""


class Mood:
    """An engine that answers, is slow, breaks off, talks nonsense or dies."""

    def __init__(self, dice):
        self.dice = dice

    async def __call__(self, asked, writer):
        if asked.method == "GET":
            writer.write(answer(self.dice.choice([200, 200, 200, 500])))
            return
        throw = self.dice.random()
        if throw < 0.05:
            writer.transport.abort()
        elif throw < 0.08:
            writer.write(b"nonsense\r\n\r\n")
        elif throw < 0.12:
            writer.write(answer(503, b"{}", ["retry-after: 1"]))
        elif throw < 0.15:
            await asyncio.sleep(5)
        elif asked.json.get("stream"):
            writer.write(EVENTS)
            for _ in range(self.dice.randrange(1, 30)):
                writer.write(chunk(piece("word " * self.dice.randrange(1, 400))))
                await writer.drain()
                await asyncio.sleep(0.002)
                if self.dice.random() < 0.01:
                    writer.transport.abort()
                    return
            writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        else:
            await asyncio.sleep(self.dice.random() * 0.02)
            message = {"role": "assistant", "content": f"It is {self.dice.random()}."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            writer.write(answer(body=json.dumps(COMPLETION | {"choices": [choice]}).encode()))


async def dying(engine, dice):
    while True:
        await asyncio.sleep(dice.uniform(0.2, 1.5))
        await engine.stop()
        await asyncio.sleep(dice.uniform(0.1, 0.8))
        await engine.start(engine.port)


async def asking(port, dice, seen):
    """Ask again and again, at times leaving in the middle; note how each request ended."""
    while True:
        stream = dice.random() < 0.5
        body = {
            "model": dice.choice(["alpha", "beta", "vllm-sr/fusion"]),
            "messages": [{"role": "user", "content": "x"}],
            "stream": stream,
        }
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request(json.dumps(body).encode()))
            if dice.random() < 0.1:
                await asyncio.sleep(dice.uniform(0, 0.05))
                seen["left"] += 1
                continue
            seen[await _ending(reader)] += 1
        finally:
            writer.transport.abort()


async def _ending(reader):
    try:
        async with asyncio.timeout(20):
            data = await reader.read(-1)
    except ConnectionError:
        return "reset"
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head:
        return "nothing"
    status = head.split(b" ", 2)[1].decode()
    if b"chunked" in head:
        whole = rest.endswith(b"0\r\n\r\n")
        return f"stream {status}" if whole and (b"[DONE]" in rest or b'"error"' in rest) else f"cut stream {status}"
    if status != "200" and b'"error"' not in rest and rest != b"{}":
        return f"no reason {status}"
    return status


async def watching(running, started, resident):
    """Look at what is logged, forget it, and note the memory that is used."""
    begun = asyncio.get_running_loop().time()
    while True:
        await asyncio.sleep(0.5)
        assert all(entry["status"] for entry in running.log.of("request"))
        running.log.events.clear()
        for engine in started:
            engine.asked.clear()
        if asyncio.get_running_loop().time() - begun > SETTLED_PART * SECONDS:
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))


def _descriptors():
    """Count open files but for /dev/null: libuv keeps one of those in reserve from its first listener on."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(entry.readlink()) != "/dev/null"
    return found


async def _soak(seed):
    dice, seen = random.Random(seed), Counter()
    rules = (
        "retry_count: 1, retry_on: '5xx', consecutive_5xx: 5, base_ejection_time: 500ms, health_check_path: /health, "
        "health_check_interval: 200ms, health_check_timeout: 200ms, lb_policy: least_request"
    )
    resident = []
    async with engines(*(Mood(dice) for _ in range(5))) as five:
        text = configuration(five[:2], five[2:4], five[4:], reliability=rules, timeout="3s", more=PANEL)
        async with router(text, limits=Limits(close_timeout_sec=0.5)) as running:
            tasks = [asyncio.create_task(dying(engine, dice)) for engine in five[:4]]
            tasks.append(asyncio.create_task(watching(running, five, resident)))
            tasks += [asyncio.create_task(asking(running.port, dice, seen)) for _ in range(CLIENTS)]
            await asyncio.sleep(SECONDS)
            failed = [task.exception() for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert failed == []
            await eventually(lambda: not running.clients.connections, 10)
            backends = [backend for group in running.upstream.groups.values() for backend in group.backends]
            await eventually(lambda: [backend.active for backend in backends] == [0] * 5)
            assert running.clients.buffered_bytes == 0
            await eventually(lambda: not any(backend.pool.idle for backend in backends), 10)
            assert all(entry["status"] for entry in running.log.of("request"))
    if SECONDS >= LONG_SEC:
        assert max(resident) - resident[0] <= MAX_GROWTH_BYTES, [
            each >> 20 for each in resident[:: len(resident) // 20]
        ]
    return seen


@pytest.mark.parametrize("seed", [1])
@in_loop
async def test_nothing_is_left_after_engines_died_under_load(seed):
    defects = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: defects.append(context))
    tasks, descriptors = len(asyncio.all_tasks()), _descriptors()
    seen = await _soak(seed)
    gc.collect()
    await asyncio.sleep(0.1)
    assert defects == []
    assert len(asyncio.all_tasks()) <= tasks
    await eventually(lambda: _descriptors() <= descriptors)
    assert {"200", "stream 200", "left"} <= set(seen), seen
    unexplained = {how for how in seen if how in ("nothing", "reset") or how.startswith(("cut", "no reason"))}
    assert not unexplained, seen
    print(dict(seen))
