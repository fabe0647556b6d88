"""What is refused before anything is read: arguments that do nothing, contradict others, or belong to the system."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .tokens import KernelArgsError, Wanted, key_of, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: GRUB expands dollars, grubby's shell does so with wildcards and backslashes, and cannot keep quotes.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:=[A-Za-z0-9_.,:;@%+/=~-]*)?")
#: What finds the disk, opens it and mounts it: a wrong one and the machine does not boot.
_OF_THE_SYSTEM = re.compile(
    r"root|rootflags|rootfstype|ro|rw|resume|resume_offset|init|initrd|boot_image|ostree|rd\.(luks|lvm|md|dm)\b.*|luks\..*",
    re.IGNORECASE,
)
_INVALID: dict[tuple[str, str | None], str] = {
    ("amd_iommu", "pt"): "the kernel answers \"AMD-Vi: Unknown option - 'pt'\" and does nothing; write iommu=pt",
    ("amd_iommu", "on"): "the kernel answers \"AMD-Vi: Unknown option - 'on'\": it is on by default; leave it out",
}
PAGES_PER_GIB = 262144
_LIMIT, _SIZE = "ttm.pages_limit", "amdgpu.gttsize"


def check_wanted(wanted: Wanted) -> None:
    """Raise KernelArgsError with everything that is wrong."""
    faults = [*_forms(wanted), *_contradictions(wanted)]
    if faults:
        raise KernelArgsError(f"Kernel arguments that cannot be set: {'; '.join(faults)}. Nothing was changed")


def check_result(tokens: Sequence[str], where: str) -> None:
    """Raise KernelArgsError if a line would have two arguments that decide the same."""
    if {_LIMIT, _SIZE} <= {key_of(token) for token in tokens}:
        raise KernelArgsError(
            f"{where} would have both {_LIMIT} and {_SIZE}, which decide the same (the second one is deprecated). "
            f"Let {_SIZE} be absent. Nothing was changed"
        )


def _forms(wanted: Wanted) -> Iterator[str]:
    for token in (*wanted.present, *wanted.absent):
        if not _PLAIN.fullmatch(token):
            yield f"{token!r} is not one name or name=value without spaces, quotes and wildcards"
        elif _OF_THE_SYSTEM.fullmatch(key_of(token)):
            yield f"{token!r} belongs to the system's installation, which would not boot with a wrong one"
    for token in wanted.present:
        key, value = meaning_of(token)
        if (key, value) in _INVALID:
            yield f"{token!r}: {_INVALID[key, value]}"
        if key == _LIMIT and not (value and value.isdigit() and int(value) >= PAGES_PER_GIB):
            yield f"{token!r} is no number of pages (of 4 KiB, {PAGES_PER_GIB} to the GiB) of at least one GiB"


def _contradictions(wanted: Wanted) -> Iterator[str]:
    keys = {key_of(token) for token in wanted.present}
    if {_LIMIT, _SIZE} <= keys:
        yield f"{_SIZE} beside {_LIMIT}: they decide the same, and {_SIZE} is deprecated; leave it out"
    for token in wanted.absent:
        key, value = meaning_of(token)
        if key in keys and (value is None or meaning_of(token) in {meaning_of(other) for other in wanted.present}):
            yield f"{token!r} is to be absent, and {key} is to be present"
