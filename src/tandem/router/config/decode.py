"""From a tree of values to frozen dataclasses, guided by their type hints.

Own code rather than a library: what the cross-checks need is an object even where parts of the file are wrong, so that
all errors come out in one run. msgspec ends at the first error, pydantic returns no object (and takes 80 ms to start),
jsonschema would have every key written down twice.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from tandem.inventory.problems import suggest
from tandem.router.config.constraints import Between, Key, Means, NotEmpty, Reads, Unsupported, Wrong
from tandem.router.config.tree import Broken, Node
from tandem.router.config.values import describe, plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.router.config.problems import Path, Problems

#: Below these keys nothing is shown: a key may stand there by mistake.
_SECRET_KEYS = frozenset({"api_keys", "api_key", "api_key_env", "extra_headers", "headers"})
_INVALID: Final = object()
_NEEDED: Final = {str: "write text", bool: "write true or false", int: "write a whole number", float: "write a number"}


class Field(NamedTuple):
    """What is known of an attribute: its key is the mapping's."""

    attribute: str
    hint: Any
    constraints: tuple[Any, ...]
    required: bool


class Refusal(NamedTuple):
    """Why a key of upstream is not supported, and values of it that mean the same as leaving it out."""

    reason: str
    harmless: tuple[object, ...] = ()


class Decoder:
    """Reads nodes, notes what is wrong, and always returns a value: a default stands in for what cannot be read."""

    def __init__(self, problems: Problems, refusals: Mapping[type, Mapping[str, Refusal]]) -> None:
        self.problems = problems
        self.refusals = refusals

    def section(self, kind: type[Any], node: Node, path: Path) -> Any:  # noqa: ANN401
        """Return an instance of the dataclass `kind`."""
        entries, known = node.value, fields_of(kind)
        if not isinstance(entries, dict):
            self._wrong_type(node, path, "write a mapping (key: value)")
            return _stand_in(kind, ())
        suggested = [self._unknown(kind, key, entries[key], (*path, key)) for key in entries if key not in known]
        values: dict[str, Any] = {}
        for key, field in known.items():
            if key in entries:
                value = self._value(field.hint, field.constraints, entries[key], (*path, key))
                if value is not _INVALID:
                    values[field.attribute] = value
                    continue
            elif field.required and f"did you mean {key}?" not in suggested:
                self.problems.add(path, f"no {key}", f"add {key}: {_describe_hint(field)}")
            if field.required:
                values[field.attribute] = _stand_in(field.hint, field.constraints)
        return kind(**values)

    def _unknown(self, kind: type[Any], key: str, node: Node, path: Path) -> str:
        """Note a key that is not read, and return what to do."""
        refusal = self.refusals.get(kind, {}).get(key)
        if refusal is None:
            found, remedy = "an unknown key", suggest(key, fields_of(kind))
        elif _is_harmless(node, refusal):
            return ""
        else:
            found = f"an unsupported key ({refusal.reason})"
            remedy = "write only enabled: false, or remove it" if "off" in refusal.harmless else "remove it"
        self.problems.add(path, found, remedy, line=node.key_line)
        return remedy

    def _value(self, hint: Any, constraints: tuple[Any, ...], node: Node, path: Path) -> Any:  # noqa: ANN401
        if node.value is Broken.BROKEN:
            return _INVALID
        hint, constraints = _unwrap(hint, constraints)
        if not any(isinstance(item, Reads) for item in constraints):
            if dataclasses.is_dataclass(hint):
                return self.section(hint, node, path)  # type: ignore[arg-type]
            if get_origin(hint) is tuple:
                return self._list(hint, constraints, node, path)
            if get_origin(hint) is dict:
                return self._mapping(hint, node, path)
        try:
            return _scalar(hint, constraints, node.value)
        except Wrong as wrong:
            found, remedy = wrong.args
            hidden = _SECRET_KEYS.intersection(part for part in path if isinstance(part, str))
            self.problems.add(path, _describe_kind(node.value) if hidden and found == _shown(node) else found, remedy)
            return _INVALID

    def _list(self, hint: Any, constraints: tuple[Any, ...], node: Node, path: Path) -> Any:  # noqa: ANN401
        if not isinstance(node.value, tuple):
            self._wrong_type(node, path, "write a list")
            return _INVALID
        if not node.value and any(isinstance(item, NotEmpty) for item in constraints):
            self.problems.add(path, "an empty list", "write at least one")
        item_hint, item_constraints = _unwrap(get_args(hint)[0], ())
        items = []
        for index, child in enumerate(node.value):
            value = self._value(item_hint, item_constraints, child, (*path, index))
            # Positions stay those of the file, for the cross-checks.
            items.append(_stand_in(item_hint, item_constraints) if value is _INVALID else value)
        return tuple(items)

    def _mapping(self, hint: Any, node: Node, path: Path) -> Any:  # noqa: ANN401
        if not isinstance(node.value, dict):
            self._wrong_type(node, path, "write a mapping (key: value)")
            return _INVALID
        item_hint, item_constraints = _unwrap(get_args(hint)[1], ())
        values = {
            key: self._value(item_hint, item_constraints, child, (*path, key)) for key, child in node.value.items()
        }
        return {key: value for key, value in values.items() if value is not _INVALID}

    def _wrong_type(self, node: Node, path: Path, remedy: str) -> None:
        if node.value is not Broken.BROKEN:
            hidden = _SECRET_KEYS.intersection(part for part in path if isinstance(part, str))
            self.problems.add(path, _describe_kind(node.value) if hidden else _shown(node), remedy)


@cache
def _fields_of(kind: type[Any]) -> dict[str, Field]:
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for field in dataclasses.fields(kind):
        hint, constraints = _unwrap(hints[field.name], ())
        key = next((item.name for item in constraints if isinstance(item, Key)), field.name)
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        found[key] = Field(field.name, hint, constraints, required)
    return found


def fields_of(kind: type[Any]) -> dict[str, Field]:
    """Return the fields of a dataclass by their keys in the file."""
    return _fields_of(kind)  # type: ignore[arg-type] # classes are hashable


def _unwrap(hint: Any, constraints: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401
    """Take Annotated and "or None" off a hint."""
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            constraints = (*constraints, *more)
        elif get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
            rest = [part for part in get_args(hint) if part is not type(None)]
            hint = rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007 # made of a list
        else:
            return hint, constraints


def _scalar(hint: Any, constraints: tuple[Any, ...], value: object) -> Any:  # noqa: ANN401
    """Return a scalar as `hint` wants it, or raise Wrong."""
    reads = next((item for item in constraints if isinstance(item, Reads)), None)
    if reads is not None:
        if isinstance(value, tuple | dict) or value is None:
            raise Wrong(describe(value), "write one value")
        result = reads.function(value)
    elif get_origin(hint) is Literal:
        return _one_of(get_args(hint), constraints, value)
    elif hint is str:
        result = plain_text(value)
    elif hint is float and type(value) is int:
        result = float(value)
    elif type(value) is hint:
        result = value
    else:
        raise Wrong(describe(value), _NEEDED[hint])
    for item in constraints:
        if isinstance(item, Between):
            item.check(result)
    return result


def _one_of(choices: tuple[Any, ...], constraints: tuple[Any, ...], value: object) -> object:
    match = next((choice for choice in choices if type(choice) is type(value) and choice == value), None)
    if match is not None:
        return match
    reasons = next((item.reasons for item in constraints if isinstance(item, Unsupported)), {})
    wanted = "write " + " or ".join(choice if isinstance(choice, str) else describe(choice) for choice in choices)
    if isinstance(value, str) and value in reasons:
        raise Wrong(f"{value}, which is not supported ({reasons[value]})", wanted)
    raise Wrong(describe(value), wanted)


def _stand_in(hint: Any, constraints: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Return an empty value of a type, for what could not be read."""
    for item in constraints:
        if isinstance(item, Reads):
            return item.empty
    if dataclasses.is_dataclass(hint):
        needed = [field for field in fields_of(hint).values() if field.required]  # type: ignore[arg-type]
        return hint(**{field.attribute: _stand_in(field.hint, field.constraints) for field in needed})  # type: ignore[operator]
    origin = get_origin(hint)
    if origin is Literal:
        return get_args(hint)[0]
    return origin() if origin is not None else hint()


def _is_harmless(node: Node, refusal: Refusal) -> bool:
    if isinstance(node.value, dict):  # {enabled: false}, and nothing else
        off = node.value.get("enabled")
        return "off" in refusal.harmless and len(node.value) == 1 and off is not None and off.value is False
    return any(type(value) is type(node.value) and value == node.value for value in refusal.harmless if value != "off")


def _describe_hint(field: Field) -> str:
    if means := [item.words for item in field.constraints if isinstance(item, Means)]:
        return means[0]
    if get_origin(field.hint) is Literal:
        return " or ".join(str(choice) for choice in get_args(field.hint))
    if any(isinstance(item, Reads) for item in field.constraints):
        return "text"
    between = next((str(item) for item in field.constraints if isinstance(item, Between)), "")
    words = {str: "text", bool: "true or false", int: f"a whole number {between}", float: f"a number {between}"}
    return words.get(field.hint, "a list" if get_origin(field.hint) is tuple else "a mapping").strip()


def _shown(node: Node) -> str:
    return describe(node.value)


def _describe_kind(value: object) -> str:
    """Return what a value is without showing it."""
    words = {str: "text", bool: "true or false", int: "a number", float: "a number"}
    return words.get(type(value)) or describe(value)
