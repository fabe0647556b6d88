"""Bring all boot entries, and the files that the next one inherits from, to what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..process import CommandError, CommandResult
from . import grubby, ostree
from .files import edit_cmdline, edit_defaults, first_cmdline
from .grubby import Entry
from .rules import check_result, check_wanted
from .tokens import KernelArgsError, Wanted, apply, differences, split

READ_TIMEOUT_S = 60.0
#: rpm-ostree makes a deployment, which hard links a whole system; a grubby edits one small file.
UPDATE_TIMEOUT_S = 600.0
Write = Callable[[Path, str], None]


class Runner(Protocol):
    """How a program is run (see process.run_command)."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a program to its end."""


@dataclass(frozen=True)
class Tool:
    """Who owns the boot entries of a node, and how it is spoken to."""

    name: str
    read: tuple[str, ...]
    parse: Callable[[str], list[Entry]]
    update: Callable[[Entry, Sequence[str]], list[str]]


GRUBBY = Tool("grubby", grubby.READ, grubby.parse_entries, grubby.update_command)
RPM_OSTREE = Tool("rpm-ostree", ostree.READ, ostree.parse_kargs, ostree.update_command)


@dataclass(frozen=True)
class State:
    """All that a kernel, now or later, gets its arguments from."""

    entries: tuple[Entry, ...]
    files: tuple[tuple[Path, str], ...]

    def render(self) -> str:
        """Return it as text, one argument a line, so that a diff shows which changed."""
        parts = [f"{entry.name}:\n" + "".join(f"  {token}\n" for token in entry.tokens) for entry in self.entries]
        return "".join([*parts, *(f"{path}:\n{text}" for path, text in self.files)])


@dataclass(frozen=True)
class Outcome:
    """What was found, what was (or, in check mode, would be) made of it, and what the running kernel lacks."""

    tool: str
    before: State
    after: State
    skipped: tuple[str, ...]
    running_differences: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of entries and files that differ."""
        entries = zip(self.before.entries, self.after.entries, strict=True)
        files = zip(self.before.files, self.after.files, strict=True)
        return (*(old.name for old, new in entries if old != new), *(str(old[0]) for old, new in files if old != new))


def ensure(run: Runner, write: Write, root: Path, wanted: Wanted, *, check_mode: bool) -> Outcome:
    """Make it so and look again; with ``check_mode`` only tell. Nothing is changed if anything cannot be done."""
    check_wanted(wanted)
    tool = RPM_OSTREE if (root / "run/ostree-booted").exists() else GRUBBY
    entries = tool.parse(_run(run, tool.read, READ_TIMEOUT_S))
    linux = [entry for entry in entries if entry.is_linux]
    if not linux:
        raise KernelArgsError(f"None of {tool.name}'s boot entries starts Linux: {', '.join(e.name for e in entries)}")
    planned = [Entry(e.index, e.name, e.kernel, apply(e.tokens, wanted)) for e in linux]
    for entry in planned:
        check_result(entry.tokens, f"Boot entry {entry.name}")
    commands = [
        tool.update(old, new.tokens) for old, new in zip(linux, planned, strict=True) if old.tokens != new.tokens
    ]
    files = _plan_files(root, wanted, planned) if tool is GRUBBY else []
    before = State(tuple(linux), tuple((path, old) for path, old, _ in files))
    after = State(tuple(planned), tuple((path, new) for path, _, new in files))
    running = split((root / "proc/cmdline").read_text(encoding="utf-8", errors="replace"))
    skipped = tuple(entry.name for entry in entries if not entry.is_linux)
    outcome = Outcome(tool.name, before, after, skipped, tuple(differences(running, wanted)))
    if not check_mode and outcome.changed:
        for command in commands:
            _run(run, command, UPDATE_TIMEOUT_S)
        # After the tool, which may have written to them in its own way.
        for path, _, new in files:
            if _read(path) != new:
                write(path, new)
        _check(tool.parse(_run(run, tool.read, READ_TIMEOUT_S)), before, after)
    return outcome


def _plan_files(root: Path, wanted: Wanted, entries: Sequence[Entry]) -> list[tuple[Path, str, str]]:
    """Return path, present and wanted text of the files of this node."""
    cmdline, defaults = root / "etc/kernel/cmdline", root / "etc/default/grub"
    files = []
    text = _read(cmdline)
    if text.strip():
        files.append((cmdline, text, edit_cmdline(text, wanted)))
    elif wanted.present or wanted.absent:
        # Without it the next kernel gets the arguments of the running one, which may lack ours until a reboot.
        newest = next((entry for entry in entries if not entry.is_rescue), entries[0])
        files.append((cmdline, text, first_cmdline(newest.tokens)))
    if defaults.exists():
        text = _read(defaults)
        files.append((defaults, text, edit_defaults(text, wanted)))
    return files


def _check(found: Sequence[Entry], before: State, after: State) -> None:
    """Raise KernelArgsError if an entry has become something else than was planned."""
    real = {entry.name: entry for entry in found}
    for old, new in zip(before.entries, after.entries, strict=True):
        # The tool adds at the end, whatever was there.
        if new.name in real and sorted(real[new.name].tokens) != sorted(new.tokens):
            raise KernelArgsError(
                f"Boot entry {new.name} has become {' '.join(real[new.name].tokens)!r}; wanted was "
                f"{' '.join(new.tokens)!r}, and it was {' '.join(old.tokens)!r}. Correct it before this node reboots"
            )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _run(run: Runner, argv: Sequence[str], timeout_s: float) -> str:
    result = run(argv, timeout_s=timeout_s)
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip() or "nothing"
        raise CommandError(f"'{' '.join(argv)}' ended with status {result.returncode} and said: {said}")
    return result.stdout
