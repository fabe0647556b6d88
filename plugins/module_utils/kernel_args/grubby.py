"""Boot entries by grubby, which on Fedora is a shell script that edits the files of /boot/loader/entries.

Entries are changed one at a time. ``--update-kernel=ALL`` would also write to entries that are right, to those that
start no Linux, and over GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub (docs/decisions/0007).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .tokens import KernelArgsError, changed_keys, key_of, name_of, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

READ = ("grubby", "--info=ALL")
_LINE = re.compile(r"(index|kernel|args|root|initrd|title|id)=(.*)")
#: Its shell expands wildcards, its sed reads & and \ in what it writes back, and both make one space of several.
_MANGLED = re.compile(r"[*?\[&\\\n]|\s{2,}|\t")
#: What comes after this goes to init, and grubby adds at the end.
_END = ("--",)


@dataclass(frozen=True)
class Entry:
    """One entry of the boot menu. ``tokens`` has ``root=`` first, where grubby tells it apart."""

    index: int
    name: str
    kernel: str
    tokens: tuple[str, ...]

    @property
    def is_linux(self) -> bool:
        """Other systems and firmware tools have no kernel, memory testers have no arguments."""
        return self.kernel not in ("", "/boot") and bool(self.tokens)

    @property
    def is_rescue(self) -> bool:
        """The entry whose kernel is not updated."""
        return "-0-rescue" in self.kernel


def parse_entries(text: str) -> list[Entry]:
    """Return the entries of ``grubby --info=ALL``; raise KernelArgsError if there is none or one cannot be read."""
    blocks: list[dict[str, str]] = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line.strip())
        if found and found[1] == "index":
            blocks.append({"index": found[2]})
        elif found and blocks:
            blocks[-1][found[1]] = _unquoted(found[2])
        elif line.strip() == "non linux entry" and blocks:
            blocks[-1].update(kernel="", args="")
        elif line.strip():
            raise KernelArgsError(f"'{' '.join(READ)}' printed a line that is not understood: {line.strip()[:200]!r}")
    if not blocks:
        raise KernelArgsError(
            "grubby knows no boot entry (/boot/loader/entries is empty, or /boot is not mounted). "
            "Where this node starts without a boot loader, set kernel_args_manage: false"
        )
    return [_entry(block) for block in blocks]


def _entry(block: dict[str, str]) -> Entry:
    if not block["index"].isdigit() or "kernel" not in block or "args" not in block:
        raise KernelArgsError(f"'{' '.join(READ)}' says no kernel or no args of entry {block['index']!r}")
    root = (f"root={block['root']}",) if block.get("root") else ()
    name = block.get("id") or block.get("title") or block["kernel"]
    return Entry(int(block["index"]), name, block["kernel"], root + split(block["args"]))


def _unquoted(value: str) -> str:
    # The quotes around args= are grubby's; those within are the line's own, and not escaped.
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def update_command(entry: Entry, after: Sequence[str]) -> list[str]:
    """Return the command that makes ``after`` of an entry; raise KernelArgsError if grubby would damage the line."""
    keys = changed_keys(entry.tokens, after)
    # By name, all values at once: grubby removes one name=value only once, and reads it as a regular expression.
    remove = [name_of(token) for token in entry.tokens if key_of(token) in keys]
    add = [token for token in after if key_of(token) in keys]
    names = {*remove, *map(name_of, add)}
    for token in entry.tokens:
        if _would_be_damaged(token, names, is_ours=key_of(token) in keys):
            raise KernelArgsError(
                f"Boot entry {entry.name} has {token!r}, which grubby cannot keep or replace. Nothing was changed. "
                f"Edit /boot/loader/entries/{entry.name}.conf by hand: it needs {' '.join(after)}"
            )
    command = ["grubby", f"--update-kernel={entry.index}"]
    if remove:
        command.append(f"--remove-args={' '.join(remove)}")
    if add:
        command.append(f"--args={' '.join(add)}")
    return command


def _would_be_damaged(token: str, names: Iterable[str], *, is_ours: bool) -> bool:
    if _MANGLED.search(token) or token in _END:
        return True
    # To grubby a line is words, not tokens, and a name is a regular expression.
    words = token.split()
    hit = any(re.fullmatch(name, word.partition("=")[0]) for word in words for name in names)
    return (hit and len(words) > 1) or hit != is_ours
