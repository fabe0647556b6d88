"""From the task that does the work to the generator that its consumer iterates.

Timeouts and task groups must not span a `yield`, so the work is a task of its own. What it says is passed on one by
one; with too much unread it waits, so that a slow client slows down its engine instead of filling memory.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tandem.router.calls import FusionEvent

_UNREAD = 64


class Events:
    """A queue with an end."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[FusionEvent | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_UNREAD)

    async def send(self, event: FusionEvent) -> None:
        """Pass an event on, as soon as there is room."""
        await self._room.acquire()
        self._queue.put_nowait(event)

    def end(self) -> None:
        """Say that nothing more comes."""
        self._queue.put_nowait(None)

    async def receive(self) -> FusionEvent | None:
        """Return the next event, or None at the end."""
        event = await self._queue.get()
        self._room.release()
        return event


async def work_and_tell(work: Callable[[Events], Awaitable[None]]) -> AsyncIterator[FusionEvent]:
    """Yield what the work sends and raise what it raises. Closing this cancels the work and waits for its end."""
    events = Events()

    async def whole() -> None:
        try:
            await work(events)
        finally:
            events.end()

    task = asyncio.create_task(whole())
    try:
        while (event := await events.receive()) is not None:
            yield event
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
        if not task.cancelled():
            # Whoever closes early is not told, but asyncio would be loud about an error that nobody looked at.
            task.exception()
