"""The units of the timer, as systemd itself judges them."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tandem.drift import timer
from tandem.errors import TandemError


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A stand-in for systemctl and systemd-analyze, as no systemd runs here; returns what it was called with."""
    log = tmp_path / "calls"
    for name in ("systemctl", "systemd-analyze"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >>{log}\n[ "$2" != nonsense ] || {{ echo bad >&2; exit 1; }}\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    return log


@pytest.fixture
def inventory(tmp_path):
    project = tmp_path / "a project, 100%"
    (project / "inventories" / "x").mkdir(parents=True)
    (project / "site.yml").touch()
    (project / "ansible.cfg").touch()
    return project / "inventories" / "x"


def test_units_are_written_started_and_removed(calls, inventory, tmp_path):
    assert "tandem-drift-x.timer looks hourly" in timer.install(inventory, "hourly")
    units = tmp_path / ".config/systemd/user"
    assert "OnCalendar=hourly" in (units / "tandem-drift-x.timer").read_text()
    assert calls.read_text().splitlines() == [
        "systemd-analyze calendar hourly",
        "systemctl --user daemon-reload",
        "systemctl --user enable --now tandem-drift-x.timer",
    ]
    timer.install(inventory, "off")
    assert list(units.iterdir()) == []
    timer.install(inventory, "off")


def test_a_time_that_systemd_does_not_know_is_refused_before_anything_is_written(calls, inventory, tmp_path):
    with pytest.raises(TandemError, match="systemd-analyze calendar nonsense failed: bad"):
        timer.install(inventory, "nonsense")
    assert not (tmp_path / ".config").exists()


def test_systemd_takes_the_units(tmp_path, inventory):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    tandem = tmp_path / "with space" / "tandem"
    tandem.parent.mkdir()
    tandem.write_text("#!/bin/sh\n")
    tandem.chmod(0o755)
    units = timer.render(inventory, inventory.parents[1], tandem, "Mon 06:00")
    paths = [tmp_path / name for name in units]
    for path in paths:
        path.write_text(units[path.name])
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:/usr/lib/systemd/system:/lib/systemd/system"},
    )
    assert not [line for line in done.stderr.splitlines() if "tandem-drift" in line], done.stderr
    assert Path(inventory.parents[1]).name in units["tandem-drift-x.service"].replace("%%", "%")
