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
    subprocess.run(["scripts/lab-down.sh"], cwd=lab.ROOT, check=True, timeout=300)
    subprocess.run(["scripts/lab-image"], cwd=lab.ROOT, check=True, timeout=1200, stdout=subprocess.DEVNULL)
    made = lab.playbook("playbooks/lab/create.yml", variables={"lab_take_over": True})
    assert made.returncode == 0, made
    yield
    if os.environ.get("TANDEM_LAB_KEEP") != "1":
        subprocess.run(["scripts/lab-down.sh"], cwd=lab.ROOT, check=True, timeout=300)


@pytest.fixture(scope="session")
def quadlet() -> str:
    """Podman's own unit generator: this machine's, or one unpacked from a newer Debian (podman has it since 4.4)."""
    done = subprocess.run(
        ["scripts/quadlet.sh"], cwd=lab.ROOT, check=True, timeout=1200, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()
