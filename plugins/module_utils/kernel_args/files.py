"""Where the next kernel inherits its arguments from: /etc/kernel/cmdline and /etc/default/grub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .tokens import KernelArgsError, Wanted, apply, split, without

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIABLE = "GRUB_CMDLINE_LINUX"
_ASSIGNMENT = re.compile(
    rf"^[ \t]*(?:export[ \t]+)?{VARIABLE}(?P<kind>_DEFAULT)?(?P<operator>\+?=)(?P<value>.*)$", re.MULTILINE
)
#: One word of shell: in double quotes, in single ones, or without.
_WORD = re.compile(r"""\"((?:[^"\\]|\\.)*)\"|'([^']*)'|([^\s"'#\\$`]*)""")


def edit_cmdline(text: str, wanted: Wanted) -> str:
    """Return /etc/kernel/cmdline as it should be. Comments stay, in front of the arguments."""
    lines = text.splitlines()
    comments = [line for line in lines if line.lstrip().startswith("#")]
    before = split(" ".join(line for line in lines if line not in comments))
    after = apply(before, wanted)
    return text if after == before else "".join(f"{line}\n" for line in (*comments, " ".join(after)))


def first_cmdline(tokens: Sequence[str]) -> str:
    """Return an /etc/kernel/cmdline, from what an entry will have. Others put variables of GRUB into each new entry."""
    return " ".join(token for token in tokens if not token.startswith("$")) + "\n"


def edit_defaults(text: str, wanted: Wanted) -> str:
    """Return /etc/default/grub as it should be, for those who make entries anew by grub2-mkconfig.

    Other values of what is wanted go from GRUB_CMDLINE_LINUX_DEFAULT as well, which comes later and would win.
    """
    found = list(_ASSIGNMENT.finditer(text))
    plain = [match for match in found if not match["kind"]]
    for match in reversed(found):
        before = split(_content(match))
        # Where there are several, the shell that reads them takes the last.
        after = apply(before, wanted) if plain and match is plain[-1] else without(before, wanted)
        if after != before:
            start, end = match.span("value")
            quote = "'" if match["value"].startswith("'") else '"'
            text = f"{text[:start]}{quote}{' '.join(after)}{quote}{text[end:]}"
    if not plain and wanted.present:
        text = f'{text}{"" if text.endswith(chr(10)) or not text else chr(10)}{VARIABLE}="{" ".join(wanted.present)}"\n'
    return text


def _content(match: re.Match[str]) -> str:
    word = _WORD.fullmatch(match["value"].strip())
    if match["operator"] != "=" or not word:
        raise KernelArgsError(
            f"/etc/default/grub has a line that is not understood: {match[0].strip()[:200]!r}. "
            f'Write it as {VARIABLE}="..." on one line. Nothing was changed'
        )
    return next((part for part in word.groups() if part is not None), "")
