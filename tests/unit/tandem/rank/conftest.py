"""Units to start, and the promise that nothing of them is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rank_harness import API_KEY, FAKE_ENGINE, TOKEN, MakeUnits, Unit, free_port, rank_document


@pytest.fixture
def units(tmp_path: Path) -> Iterator[MakeUnits]:
    made: list[Unit] = []

    def make(
        ranks: int = 1, *, change: Callable[[int, dict[str, Any]], None] | None = None, **options: Any
    ) -> list[Unit]:
        api_port, group_port = free_port(), free_port()
        for rank in range(ranks):
            document = rank_document(rank, ranks, api_port, group_port)
            if change is not None:
                change(rank, document)
            made.append(Unit(tmp_path / f"rank{rank}", document))
        return made

    yield make
    for unit in made:
        unit.clean_up()
    logs = "".join(unit.log for unit in made)
    assert API_KEY not in logs
    assert TOKEN not in logs
    assert "Traceback" not in logs, logs
    assert engines_below(tmp_path) == []


def engines_below(directory: Path) -> list[str]:
    """Return the engines of this test that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if str(FAKE_ENGINE) in command and str(directory) in command:
                found.append(command.replace("\0", " "))
    return found
