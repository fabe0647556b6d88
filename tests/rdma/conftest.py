"""Two machines for the whole run: booted once, ended with it, also after a failure."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rdma import machines
from tests.rdma.fabric import Fabric


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return a function that tells the reader of a run something now, whatever becomes of the test."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def tell(text: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"\n{text}\n")

    return tell


@pytest.fixture(scope="session")
def fabric(say: Callable[[str], None]) -> Iterator[Fabric]:
    """Two bare nodes with a cable between them."""
    if running := os.environ.get("TANDEM_RDMA_MACHINES"):
        yield Fabric(machines.Machines(Path(running)))
        return
    if absent := machines.missing():
        pytest.fail(f"this computer lacks {', '.join(absent)}: run scripts/os-packages.sh test")
    # Ended from outside, the machines go as after a failure.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    with machines.running() as found:
        say(f"two virtual machines answer after {time.monotonic() - began:.0f} s")
        yield Fabric(found)
