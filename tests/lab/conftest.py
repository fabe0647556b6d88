"""One lab for the whole run: made from nothing, taken down at the end, also after a failure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab import lab


@pytest.fixture(scope="session", autouse=True)
def nodes() -> Iterator[None]:
    """Two bare nodes. TANDEM_LAB_KEEP=1 keeps them afterwards, to look at."""
    subprocess.run(["scripts/lab-down"], cwd=lab.ROOT, check=True, timeout=120)
    subprocess.run(["scripts/lab-nodes"], cwd=lab.ROOT, check=True, timeout=900)
    yield
    if os.environ.get("TANDEM_LAB_KEEP") != "1":
        subprocess.run(["scripts/lab-down"], cwd=lab.ROOT, check=True, timeout=120)
