"""firewall-cmd, and the timer that takes a change of the default zone back unless somebody confirms it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..process import CommandResult, ToolMissing, run_command
from .plan import State, Wanted, after, narrowed, open_zones, plan, render
from .zones import FirewallError, parse_zones

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMEOUT_S = 60.0
NOT_RUNNING = 252
UNDO = "tandem-firewall-undo"


@dataclass(frozen=True)
class Outcome:
    """What was found, and what was done or would be."""

    running: bool = False
    installed: bool = True
    changed: bool = False
    calls: list[list[str]] = field(default_factory=list)
    open_zones: list[str] = field(default_factory=list)
    narrowed: list[str] = field(default_factory=list)
    undo_pending: bool = False
    before: str = ""
    after: str = ""


class Client:
    """Calls of firewall-cmd; ``run`` starts a program."""

    def __init__(self, run: Callable[..., CommandResult] = run_command) -> None:
        self._run = run

    def ask(self, *arguments: str) -> str:
        """Run firewall-cmd and return what it printed."""
        result = self._run(["firewall-cmd", *arguments], timeout_s=TIMEOUT_S)
        if result.returncode != 0:
            said = (result.stderr or result.stdout).strip()
            raise FirewallError(f"firewall-cmd {' '.join(arguments)} failed (exit status {result.returncode}): {said}")
        return result.stdout

    def is_running(self) -> bool:
        """Whether firewalld answers."""
        return self._run(["firewall-cmd", "--state"], timeout_s=TIMEOUT_S).returncode == 0

    def read(self) -> State:
        """Read all zones."""
        return State(
            runtime=parse_zones(self.ask("--list-all-zones")),
            permanent=parse_zones(self.ask("--permanent", "--list-all-zones")),
            default=self.ask("--get-default-zone").strip(),
        )

    def start_undo(self, zone: str, after_s: int) -> None:
        """Have systemd set the former default zone again, whatever becomes of this connection."""
        self.stop_undo()
        argv = ["systemd-run", "--quiet", f"--unit={UNDO}", f"--on-active={after_s}", "--timer-property=AccuracySec=1s"]
        result = self._run([*argv, "firewall-cmd", f"--set-default-zone={zone}"], timeout_s=TIMEOUT_S)
        if result.returncode != 0:
            raise FirewallError(
                f"no way back could be prepared, so the default zone stays {zone}: {result.stderr.strip()}"
            )

    def stop_undo(self) -> bool:
        """Let the present default zone stay; return whether it would not have."""
        active = self._run(["systemctl", "is-active", "--quiet", f"{UNDO}.timer"], timeout_s=TIMEOUT_S).returncode == 0
        if active:
            self._run(["systemctl", "stop", f"{UNDO}.timer"], timeout_s=TIMEOUT_S)
        return active


def ensure(client: Client, wanted: Wanted, accepted: Sequence[str], undo_after_s: int, *, check_mode: bool) -> Outcome:
    """Make the zone what it should be, and the default."""
    try:
        if not client.is_running():
            return Outcome()
    except ToolMissing:
        return Outcome(installed=False)
    before = client.read()
    calls = plan(before, wanted)
    still_open = open_zones(before, wanted, accepted)
    moves = before.default != wanted.zone
    result = Outcome(
        running=True,
        changed=bool(calls) and not still_open,
        calls=calls,
        open_zones=still_open,
        narrowed=narrowed(before, wanted),
        before=render(before, wanted),
        after=render(after(before, wanted), wanted),
    )
    if check_mode or not calls or still_open:
        return result
    for call in calls[:-1] if moves else calls:
        client.ask(*call)
    if moves:
        client.start_undo(before.default, undo_after_s)
        client.ask(*calls[-1])
    found = client.read()
    left = plan(found, wanted)
    if left:
        raise FirewallError(f"firewalld accepted all changes, and still lacks: {'; '.join(' '.join(c) for c in left)}")
    # An interface that was bound to the former default zone by name shows only now.
    return replace(result, undo_pending=moves, open_zones=open_zones(found, wanted, accepted))


def ssh_port_of_this_run(proc: Path, pid: int, default: int = 22) -> int:
    """Return the port of this node that the connection of this run arrived at.

    sshd tells it to what it starts (SSH_CONNECTION), and sudo takes it away: some process above this one still has it.
    """
    while pid > 1:
        try:
            environment = (proc / str(pid) / "environ").read_bytes().split(b"\0")
            status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return default
        for entry in environment:
            words = entry.partition(b"SSH_CONNECTION=")[2].split()
            if len(words) == 4 and words[3].isdigit():
                return int(words[3])
        pid = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")), 0)
    return default
