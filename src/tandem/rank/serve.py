"""`tandem rank serve`: the main process of an engine's unit.

Exit status: 0 stopped as asked; 1 the generation failed, systemd may try again; 78 (EX_CONFIG) another try would fail
in the same way, because the configuration, a credential or the weights are wrong, or a link did not pass the gate.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from tandem.rank.follow import follow
from tandem.rank.lead import lead
from tandem.rank.policy import State
from tandem.rank.process import adopt_orphans
from tandem.rank.supervisor import GenerationError, RefusalError, Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.rank.config import RankConfig

STOPPED, FAILED, REFUSED = 0, 1, 78


async def serve(config: RankConfig, environment: Mapping[str, str]) -> int:
    """Supervise one rank until it fails or we are asked to stop; return the exit status."""
    adopt_orphans()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    supervisor = Supervisor(config, environment)
    rank = asyncio.create_task(_rank(supervisor))
    stop_asked = asyncio.create_task(stop.wait())
    keep_alive = asyncio.create_task(supervisor.keep_alive())
    await asyncio.wait([rank, stop_asked, keep_alive], return_when=asyncio.FIRST_COMPLETED)
    try:
        if stop_asked.done():
            supervisor.stopping()
            rank.cancel()
            # The rank may fail while it is being stopped: it was asked to go, and it is gone.
            await asyncio.gather(rank, return_exceptions=True)
            supervisor.report(State.STOPPING, "stopped")
            return STOPPED
        if keep_alive.done():
            keep_alive.result()
        await rank
    except RefusalError as error:
        supervisor.report(State.FAILED, str(error))
        return REFUSED
    except GenerationError as error:
        supervisor.report(State.FAILED, str(error))
        return FAILED
    finally:
        for task in (rank, stop_asked, keep_alive):
            task.cancel()
        await asyncio.gather(rank, stop_asked, keep_alive, return_exceptions=True)
    return FAILED


async def _rank(supervisor: Supervisor) -> None:
    supervisor.check_command()
    await (lead(supervisor) if supervisor.config.rank == 0 else follow(supervisor))
