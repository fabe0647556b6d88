"""A model's ``config.json``, read with suspicion: every value is checked where it is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tandem.errors import TandemError

#: Larger than any dimension of a model that exists; more is a slip of the keyboard.
_LARGEST = 10**8
#: A config.json is some kilobytes; what is far larger is another file.
_LARGEST_FILE_BYTES = 32 * 2**20


class Config:
    """The keys of one section of a ``config.json``; ``where`` names it in errors.

    A key whose value is null counts as missing, as it does for the code that models are defined by.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def has(self, *names: str) -> bool:
        """Return whether one of the keys has a value."""
        return any(self.values.get(name) is not None for name in names)

    def raw(self, name: str) -> Any:  # noqa: ANN401
        """Return a value as it stands, or None."""
        return self.values.get(name)

    def number(self, *names: str, default: int | None = None, least: int = 1) -> int:
        """Return the first of the keys that has a value, as a whole number."""
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
                self.refuse(name, f"a whole number from {least} to {_LARGEST}")
            return value
        if default is None:
            self.missing(*names)
        return default

    def ratio(self, name: str, default: float) -> float:
        """Return a positive number that may have decimals."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LARGEST:
            self.refuse(name, f"a number above 0 and at most {_LARGEST}")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a truth value."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(name, "true or false")
        return value

    def word(self, name: str, default: str | None = None) -> str:
        """Return a text."""
        value = self.values.get(name)
        if value is None:
            if default is None:
                self.missing(name)
            return default
        if not isinstance(value, str):
            self.refuse(name, "a text")
        return value

    def words(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None if there is none."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse(name, "a list of texts")
        return tuple(value)

    def numbers(self, name: str, least: int = 0) -> tuple[int, ...] | None:
        """Return a list of whole numbers, or None if there is none."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(
            isinstance(item, int) and not isinstance(item, bool) and least <= item <= _LARGEST for item in value
        ):
            self.refuse(name, f"a list of whole numbers from {least} to {_LARGEST}")
        return tuple(value)

    def section(self, *names: str) -> Config | None:
        """Return the first of the nested sections that exists, or None."""
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if not isinstance(value, dict):
                self.refuse(name, "an object")
            return Config(value, f"{self.where}: {name}")
        return None

    def refuse(self, name: str, wanted: str) -> NoReturn:
        """Raise the error about a value."""
        raise TandemError(f"{self.where}: {name} is {json.dumps(self.values[name])[:80]}; it must be {wanted}")

    def missing(self, *names: str) -> NoReturn:
        """Raise the error about a key that is not there."""
        raise TandemError(
            f"{self.where}: {' or '.join(names)} is missing, and the model cannot be counted without it; "
            "take the config.json that lies beside the weights"
        )


Number = Callable[[Config], int]
Flag = Callable[[Config], bool]


def key(*names: str, default: int | Number | None = None, absent: int | None = None, least: int = 1) -> Number:
    """Return a reader of the first of the keys; the default may depend on other keys.

    ``absent`` is the default of the code that defines the model. It holds only if the key is not there at all: a null
    replaces it.
    """

    def read(config: Config) -> int:
        if absent is not None and not any(name in config.values for name in names):
            return absent
        if callable(default):
            return config.number(*names, least=least) if config.has(*names) else default(config)
        return config.number(*names, default=default, least=least)

    return read


def flag(name: str, default: bool = False) -> Flag:
    """Return a reader of a truth value."""
    return lambda config: config.flag(name, default)


def always(_config: Config) -> bool:
    """Say yes for every model of a family."""
    return True


def never(_config: Config) -> bool:
    """Say no for every model of a family."""
    return False


def constant(value: int) -> Number:
    """Return a reader that always says the same."""
    return lambda _config: value


def load(path: Path) -> Config:
    """Read a config.json, or say why that is not one."""
    return Config(load_object(path, "--config", "the model's config.json"), path.name)


def load_object(path: Path, option: str, what: str) -> dict[str, Any]:
    """Read one JSON object without duplicate keys."""
    if path.is_dir():
        raise TandemError(f"{option} {path} is a directory; name {what} in it")
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise TandemError(f"{option} {path} has {path.stat().st_size} bytes; name {what}, which is far smaller")
        content = path.read_bytes()
    except OSError as error:
        raise TandemError(f"{option} {path} cannot be read: {error.strerror}; name {what}") from error
    if content.startswith(b"GGUF"):
        raise TandemError(f"{option} {path} is a GGUF file; name the config.json of the model it was made from")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TandemError(f"{option} {path} is no JSON: {error}; name {what}") from error
    if not isinstance(value, dict):
        raise TandemError(f"{option} {path} holds a {type(value).__name__}, no object; name {what}")
    return value


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
