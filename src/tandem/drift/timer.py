"""A timer of systemd on the control node that looks for drift: of the user who asks, or for root of the system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tandem.drift.run import find_project
from tandem.errors import TandemError

OFF = "off"

_SERVICE = """\
# Made by `tandem drift --timer`; `tandem drift --timer off` removes it.
[Unit]
Description=Look for drift between {inventory} and its nodes
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={project}
# Fails with status 2 where there is drift, and with 1 where it could not be told: see the journal.
ExecStart={tandem} drift --inventory {inventory}
TimeoutStartSec=30min
Nice=10
NoNewPrivileges=true
"""

_TIMER = """\
# Made by `tandem drift --timer`; `tandem drift --timer off` removes it.
[Unit]
Description=Look for drift between {inventory} and its nodes, {calendar}

[Timer]
OnCalendar={calendar}
RandomizedDelaySec=60
Persistent=true

[Install]
WantedBy=timers.target
"""


def render(inventory: Path, project: Path, tandem: Path, calendar: str) -> dict[str, str]:
    """Return the units by name."""
    name = f"tandem-drift-{inventory.name}"
    values = {
        "inventory": _quote(inventory),
        "project": _escape(project),
        "tandem": _quote(tandem),
        "calendar": calendar,
    }
    return {f"{name}.service": _SERVICE.format(**values), f"{name}.timer": _TIMER.format(**values)}


def install(inventory: Path, calendar: str) -> str:
    """Write the units and start the timer, or with the calendar `off` remove them; return what was done.

    Raises:
        TandemError: There is no inventory or project, systemd does not know the calendar, or does not run here.
    """
    project = find_project(inventory)
    units = render(inventory.resolve(), project, Path(sys.executable).parent / "tandem", calendar)
    system = os.geteuid() == 0
    directory = Path("/etc/systemd/system") if system else Path.home() / ".config/systemd/user"
    control = ["systemctl"] if system else ["systemctl", "--user"]
    timer = next(name for name in units if name.endswith(".timer"))
    if calendar == OFF:
        if (directory / timer).exists():
            _run([*control, "disable", "--now", timer])
        for name in units:
            (directory / name).unlink(missing_ok=True)
        _run([*control, "daemon-reload"])
        return f"{timer} is gone"
    _run(["systemd-analyze", "calendar", calendar])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in units.items():
        (directory / name).write_text(text)
    _run([*control, "daemon-reload"])
    _run([*control, "enable", "--now", timer])
    return f"{timer} looks {calendar}; see: journalctl {'' if system else '--user '}-u {timer.removesuffix('.timer')}"


def _run(argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TandemError(f"{argv[0]} does not run here ({error}): the timer needs systemd on this machine") from error
    if done.returncode:
        raise TandemError(f"{' '.join(argv)} failed: {(done.stderr or done.stdout).strip()}")


def _escape(path: Path) -> str:
    """Return a path as units take it: percent signs are specifiers."""
    return str(path).replace("%", "%%")


def _quote(path: Path) -> str:
    escaped = _escape(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if any(character in escaped for character in " \t'\"\\") else escaped
