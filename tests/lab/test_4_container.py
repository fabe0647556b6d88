"""The unit of an engine in a container, as the reference pair has it, through podman's own generator."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab
WRITTEN = lab.ROOT / "tests/unit/roles/golden/strix-halo/strix1/tandem-engine.container"


def generate(quadlet: str, text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    (directory / "tandem-engine@qwen.container").write_text(text)
    environment = {"QUADLET_UNIT_DIRS": str(directory), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [quadlet, "-dryrun"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_podmans_generator_accepts_the_unit(quadlet: str, tmp_path: Path) -> None:
    made = generate(quadlet, WRITTEN.read_text(), tmp_path)
    assert made.returncode == 0, made.stderr
    assert "---tandem-engine@qwen.service---" in made.stdout
    (start,) = (line for line in made.stdout.splitlines() if line.startswith("ExecStart="))
    for part in (
        "--network host",
        "--sdnotify=container",
        "--cap-drop all",
        "--read-only",
        "--device /dev/kfd",
        "@sha256:",
    ):
        assert part in start
    assert "--privileged" not in start


def test_podmans_generator_refuses_what_is_wrong(quadlet: str, tmp_path: Path) -> None:
    """So that the test above can fail."""
    made = generate(quadlet, WRITTEN.read_text().replace("Network=host", "Netwerk=host"), tmp_path)
    assert made.returncode != 0
    assert "Netwerk" in made.stderr


ROUTER = ("tandem-router-upstream.container", "tandem-router-envoy.container")


def test_podmans_generator_accepts_the_units_of_upstreams_router(quadlet: str, tmp_path: Path) -> None:
    for name in ROUTER:
        (tmp_path / name).write_text((WRITTEN.parent / name).read_text())
    environment = {"QUADLET_UNIT_DIRS": str(tmp_path), "PATH": "/usr/bin:/bin"}
    made = subprocess.run(
        [quadlet, "-dryrun"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert made.returncode == 0, made.stderr
    starts = [line for line in made.stdout.splitlines() if line.startswith("ExecStart=")]
    assert len(starts) == len(ROUTER)
    for start in starts:
        for part in ("--network host", "--cap-drop all", "--pull never", "no-new-privileges"):
            assert part in start
        # A key that podman is given could be read in what it says of the container.
        assert "CLIENT_DEFAULT" not in start
        assert "--privileged" not in start
