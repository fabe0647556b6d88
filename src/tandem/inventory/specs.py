"""Check values against the argument specifications of the roles, deeper than Ansible does, and earlier.

Ansible checks a role's arguments when the role runs, after the roles before it have changed the hosts, and stops at the
first one that is wrong. Here all variables are checked at once, and unknown keys are met with a suggestion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tandem.inventory.problems import Problem, join_words, suggest

Option = Mapping[str, Any]

#: What YAML can hold.
Value = Any

#: Ends of names that tell the unit of a number.
UNITS = {
    "_bytes": "bytes",
    "_sec": "seconds",
    "_s": "seconds",
    "_usec": "microseconds",
    "_gib": "GiB",
    "_mib": "MiB",
    "_gb_per_s": "GB/s",
    "_gbit_per_s": "Gb/s",
    "_msec": "milliseconds",
    "_ms": "milliseconds",
    "_len": "tokens",
    "_tokens": "tokens",
    "port": "a TCP port",
}
POSITIVE = re.compile(r"_(bytes|gib|mib|sec|msec|s|ms|size|len|tokens|seqs|limit|max|per_node|threshold)$|port$|^plan_")
MAY_BE_ZERO = re.compile(r"(reserve_bytes|drain_timeout_sec)$")
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _to_int(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _to_float(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _to_bool(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in BOOLEANS:
        raise ValueError
    return BOOLEANS[value.lower()]


def _to_str(value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return str(value)


#: Values from the command line (-e ray_port=6390) arrive as text: numbers in text are accepted, as Ansible does.
CONVERSIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "int": (_to_int, "a whole number"),
    "float": (_to_float, "a number"),
    "bool": (_to_bool, "true or false"),
    "str": (_to_str, "a text"),
    "path": (_to_str, "a path"),
}


def conform(variable: str, value: Value, option: Option, problems: list[Problem]) -> Value:
    """Return the value as its specification wants it; what is wrong goes to the problems and becomes None.

    The checks that follow can then look at everything else: one wrong key does not hide another.
    """
    kind = option.get("type", "str")
    if kind == "list":
        return _conform_list(variable, value, option, problems)
    if kind == "dict":
        return _conform_dict(variable, value, option, problems)
    return _conform_scalar(variable, value, option, problems) if kind in CONVERSIONS else value


def _conform_scalar(variable: str, value: Value, option: Option, problems: list[Problem]) -> Value:
    convert, words = CONVERSIONS[option.get("type", "str")]
    try:
        converted = convert(value)
    except (TypeError, ValueError):
        problems.append(Problem(variable, f"found {_hide(value, option)}", f"give {words}{_unit_words(variable)}"))
        return None
    if "choices" in option and converted not in option["choices"]:
        problems.append(Problem(variable, f"found {value!r}", f"choose one of {join_words(option['choices'])}"))
        return None
    if isinstance(converted, int | float) and not _in_range(variable, converted):
        problems.append(Problem(variable, f"found {value!r}", f"give {_range_words(variable)}{_unit_words(variable)}"))
        return None
    return converted


def _conform_list(variable: str, value: Value, option: Option, problems: list[Problem]) -> list[Any] | None:
    if not isinstance(value, list | tuple):
        problems.append(Problem(variable, f"found {_show(value)}", "give a list"))
        return None
    element: dict[str, Any] = {"type": option.get("elements", "str")}
    if "options" in option:
        element["options"] = option["options"]
    entries = [conform(f"{variable}[{_label(entry, i)}]", entry, element, problems) for i, entry in enumerate(value)]
    return [entry for entry in entries if entry is not None]


def _conform_dict(variable: str, value: Value, option: Option, problems: list[Problem]) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        problems.append(Problem(variable, f"found {_hide(value, option, _show(value))}", "give a dictionary"))
        return None
    options: Mapping[str, Option] | None = option.get("options")
    if options is None:
        return dict(value)
    problems += [
        Problem(f"{variable}.{key}", "is an unknown key", suggest(str(key), options))
        for key in value
        if key not in options
    ]
    problems += [
        Problem(f"{variable}.{key}", "is missing", f"add it: {describe(inner)}")
        for key, inner in options.items()
        if inner.get("required") and value.get(key) is None
    ]
    conformed = {key: inner.get("default") for key, inner in options.items()}
    for key, inner in options.items():
        if value.get(key) is not None:
            conformed[key] = conform(f"{variable}.{key}", value[key], inner, problems)
    return conformed


def describe(option: Option) -> str:
    """Return the first sentence of an option's description."""
    text = option.get("description", "")
    if not isinstance(text, str):
        text = text[0] if text else ""
    plain = re.sub(r"\b[A-Z]\(([^)]*)\)", r"\1", " ".join(text.split()))
    return plain.split(". ")[0].rstrip(".")


def _hide(value: Value, option: Option, shown: str = "") -> str:
    """Return a value for a message, unless it is a secret."""
    return f"a secret that is {type(value).__name__}" if option.get("no_log") else shown or repr(value)


def _show(value: Value) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r}"


def _label(entry: Value, index: int) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return str(name) if name else str(index)


def _unit_words(variable: str) -> str:
    ends = [end for end in UNITS if variable.endswith(end)]
    return f" ({UNITS[max(ends, key=len)]})" if ends else ""


def _in_range(variable: str, number: float) -> bool:
    if variable.endswith("port"):
        return 1 <= number <= 65535
    if variable.endswith("gpu_memory_utilization"):
        return 0 < number <= 1
    if MAY_BE_ZERO.search(variable):
        return number >= 0
    return number > 0 or not POSITIVE.search(variable)


def _range_words(variable: str) -> str:
    if variable.endswith("port"):
        return "a number from 1 to 65535"
    if variable.endswith("gpu_memory_utilization"):
        return "a share above 0 and up to 1"
    return "a number above 0"
