"""What systemd says of a unit: ``systemctl show``, parsed."""

from __future__ import annotations

from dataclasses import dataclass

from ..process import run_command

PROPERTIES = ("ActiveState", "SubState", "Result", "NRestarts", "StatusText")
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class UnitState:
    """The state of one unit, in systemd's own words."""

    active_state: str
    sub_state: str
    result: str
    restarts: int
    status_text: str


def parse_unit_state(text: str) -> UnitState:
    """Parse the ``Name=value`` lines of ``systemctl show``; a property that an older systemd lacks is empty."""
    properties = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    restarts = properties.get("NRestarts", "")
    return UnitState(
        active_state=properties.get("ActiveState", ""),
        sub_state=properties.get("SubState", ""),
        result=properties.get("Result", ""),
        restarts=int(restarts) if restarts.isdecimal() else 0,
        status_text=properties.get("StatusText", ""),
    )


def read_unit_state(unit: str) -> UnitState:
    """Ask systemd for the state of ``unit``."""
    asked = run_command(["systemctl", "show", f"--property={','.join(PROPERTIES)}", unit], timeout_s=TIMEOUT_S)
    return parse_unit_state(asked.stdout)


def explain_failure(unit: str, state: UnitState) -> str:
    """Say that and why ``unit`` has failed for good; empty while systemd still starts or restarts it."""
    if state.active_state != "failed":
        return ""
    said = f": {state.status_text}" if state.status_text else ""
    return f"{unit} has failed ({state.result}, {state.restarts} restarts){said}. See `journalctl -u {unit}`"
