"""The state file: what `tandem rank status` and a monitoring agent read."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.rank.policy import State
from tandem.weights.cache import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DIRECTORY = Path("/run/tandem-engine")


@dataclass
class RankState:
    """One moment of one rank."""

    engine: str
    rank: int
    pid: int
    state: State = State.WAITING
    reason: str = ""
    generation: int = 0
    since_epoch_sec: int = 0
    ready_after_sec: float | None = None
    last_probe: dict[str, Any] | None = None


def state_path(engine: str, environment: Mapping[str, str]) -> Path:
    """Return where the state of `engine` is kept: the first runtime directory of the unit, or what that usually is."""
    directory = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return (Path(directory) if directory else DEFAULT_DIRECTORY / engine) / f"{engine}.json"


class StateFile:
    """Keeps one rank's state, and the file of it where the unit has a runtime directory."""

    def __init__(self, engine: str, rank: int, environment: Mapping[str, str]) -> None:
        path = state_path(engine, environment)
        self._path = path if environment.get("RUNTIME_DIRECTORY") else None
        # The number of the generation goes on where the previous run of the unit left it.
        previous = _read(path) if self._path is not None else {}
        number = previous.get("generation", 0)
        self.now = RankState(engine, rank, os.getpid(), generation=number if isinstance(number, int) else 0)
        self._written = ""

    def update(self, state: State, reason: str, **more: Any) -> None:  # noqa: ANN401 -- fields of RankState
        """Change the state; the file is written only where something did change."""
        if state is not self.now.state or not self.now.since_epoch_sec:
            self.now.since_epoch_sec = int(time.time())
        self.now.state, self.now.reason = state, reason
        for name, value in more.items():
            setattr(self.now, name, value)
        content = json.dumps(asdict(self.now))
        if self._path is not None and content != self._written:
            write_atomically(self._path, content.encode())
            self._written = content


def read_state(engine: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what was last written, corrected where the process that wrote it is gone; empty where there is none."""
    document = _read(state_path(engine, environment))
    pid = document.get("pid")
    at_work = document.get("state") not in {State.FAILED, State.STOPPING}
    if at_work and isinstance(pid, int) and not Path(f"/proc/{pid}").exists():
        document |= {"state": State.FAILED, "reason": f"the supervisor (process {pid}) is gone"}
    return document


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
