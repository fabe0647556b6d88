"""Kernel arguments as a list of tokens: what they become, and what of that a line lacks.

The kernel reads quotes (`a="b c"` is one token), takes `-` and `_` in names for the same, and lets the last value of a
name win. A name has several values by right (`console=`, `rd.lvm.lv=`): only names that are asked for are touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


class KernelArgsError(Exception):
    """Kernel arguments cannot be read, or should not be set so; the message says what to do."""


@dataclass(frozen=True)
class Wanted:
    """What a command line must have, and what it must not have.

    A ``present`` token takes the place of all other values of its name. An ``absent`` name goes with any value, an
    ``absent`` ``name=value`` goes alone.
    """

    present: tuple[str, ...]
    absent: tuple[str, ...] = ()


def split(text: str) -> tuple[str, ...]:
    """Return the tokens of a command line, each as it is written."""
    return tuple(_TOKEN.findall(text))


def name_of(token: str) -> str:
    """Return the name of a token as it is written."""
    return token.strip('"').partition("=")[0]


def key_of(token: str) -> str:
    """Return what the kernel compares names by."""
    return name_of(token).replace("-", "_")


def meaning_of(token: str) -> tuple[str, str | None]:
    """Return what the kernel reads in a token; None is no value, which is not an empty one."""
    _, equals, value = token.replace('"', "").partition("=")
    return key_of(token), value if equals else None


def apply(tokens: Sequence[str], wanted: Wanted) -> tuple[str, ...]:
    """Return the tokens as they should be. What is right already, and what is not ours, keeps its place."""
    asked = {key_of(token) for token in wanted.present}
    right = {key for key in asked if _values(tokens, key) == _values(wanted.present, key)}
    kept = [token for token in without(tokens, wanted) if key_of(token) not in asked - right]
    return (*kept, *(token for token in wanted.present if key_of(token) not in right))


def without(tokens: Iterable[str], wanted: Wanted) -> tuple[str, ...]:
    """Return the tokens less those that are not wanted: absent ones, and other values of what is present."""
    present = {meaning_of(token) for token in wanted.present}
    asked = {key for key, _ in present}
    absent = {meaning_of(token) for token in wanted.absent}

    def unwanted(token: str) -> bool:
        key, value = meaning = meaning_of(token)
        return meaning in absent or (key, None) in absent or (key in asked and (key, value) not in present)

    return tuple(token for token in tokens if not unwanted(token))


def differences(tokens: Sequence[str], wanted: Wanted) -> list[str]:
    """Return what a command line lacks or has too much, in words."""
    found = []
    for key in dict.fromkeys(key_of(token) for token in wanted.present):
        if _values(tokens, key) != _values(wanted.present, key):
            has = _written(tokens, key)
            found.append(f"{_written(wanted.present, key)} is missing" + (f" (it has {has})" if has else ""))
    left = without(tokens, Wanted((), wanted.absent))
    found += [f"{token} is there" for token in tokens if token not in left]
    return found


def changed_keys(before: Iterable[str], after: Iterable[str]) -> set[str]:
    """Return the names that differ between two states of a line."""
    rest, others = list(before), list(after)
    keys = {key_of(token) for token in (*rest, *others)}
    return {key for key in keys if _of(rest, key) != _of(others, key)}


def _of(tokens: Iterable[str], key: str) -> list[str]:
    return [token for token in tokens if key_of(token) == key]


def _values(tokens: Iterable[str], key: str) -> set[str | None]:
    return {meaning_of(token)[1] for token in _of(tokens, key)}


def _written(tokens: Iterable[str], key: str) -> str:
    return " ".join(_of(tokens, key))
