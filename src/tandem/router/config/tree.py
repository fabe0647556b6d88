"""YAML text as a tree of values that know their lines.

PyYAML, because its composed nodes carry lines, and because upstream's own tool reads with it: both see the same values.
What YAML 1.1 reads in surprising ways (``yes``, ``1:30``, ``010``, dates) is refused rather than guessed.
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from tandem.router.config.problems import Problem, Problems

if TYPE_CHECKING:
    from tandem.router.config.problems import Path

MAX_BYTES = 1 << 20
#: Deeper than any sensible tree of conditions, shallower than Python's stack.
MAX_DEPTH = 48
#: Values after aliases are expanded: a few lines of YAML can mean billions of them.
MAX_VALUES = 20_000

_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")
#: libyaml ends at a NUL without a word, and ends lines where editors do not.
_ODD = re.compile("[\0\x85\u2028\u2029]|\r(?!\n)")
_MAX_DIGITS = 18  # fits into 64 bits, as upstream's numbers must


class Broken(enum.Enum):
    """Stands for a value whose problem is already noted."""

    BROKEN = enum.auto()


Scalar = str | int | float | bool | Broken | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value, the line where it begins, and the line of its key (its own, if it has none)."""

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    line: int
    key_line: int


class _TooMuch(Exception):
    """The file is not worth reading on."""


def parse(data: bytes) -> tuple[Node | None, Problems]:
    """Return the tree of a YAML document, or None where nothing could be read, and what was wrong."""
    problems, text = Problems(), ""
    try:
        text = _decode(data)
        root = _compose(text)
        return _Reader(problems).read(root, (), _line(root)), problems
    except _TooMuch as much:
        problems.found.append(much.args[0])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, text.count("\n") + 1) if mark else 1
        what = " ".join(str(part) for part in (error.context, error.problem) if part)
        problems.found.append(Problem(line, "", f"what is not YAML ({what})", "correct it"))
    except yaml.YAMLError as error:
        # A character that YAML does not allow: its place is all that is known.
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        problems.found.append(Problem(line, "", "a control character", "remove it"))
    return None, problems


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _TooMuch(Problem(0, "", f"more than {MAX_BYTES} bytes", "keep the configuration smaller"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _TooMuch(Problem(line, "", f"the byte 0x{data[error.start]:02x}", "save the file as UTF-8")) from None
    if odd := _ODD.search(text):
        line = text[: odd.start()].count("\n") + 1
        raise _TooMuch(Problem(line, "", f"the character U+{ord(odd[0]):04X}", "remove it, or write it as an escape"))
    return text


def _compose(text: str) -> yaml.Node:
    """Return the root, after refusing what would overflow the stack while composing, and a second document."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        line = _line(event)
        if depth > MAX_DEPTH:
            raise _TooMuch(Problem(line, "", f"more than {MAX_DEPTH} levels", "nest less deeply"))
        if documents > 1:
            raise _TooMuch(Problem(line, "", "a second document (---)", "write one document into a file"))
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    if root is None:
        raise _TooMuch(Problem(1, "", "an empty file", "begin with version: v0.3"))
    return root


class _Reader:
    """Turns composed nodes into values."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.values = 0

    def read(self, node: yaml.Node, path: Path, key_line: int) -> Node:
        line = _line(node)
        self.problems.lines[path] = line
        self.values += 1
        if self.values > MAX_VALUES:
            raise _TooMuch(
                Problem(
                    line, "", f"more than {MAX_VALUES} values (aliases count as what they stand for)", "write fewer"
                )
            )
        if len(path) > MAX_DEPTH:
            raise _TooMuch(Problem(line, "", "an alias within what it stands for", "write the value out"))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return Node(self._mapping(node, path), line, key_line)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            items = (self.read(item, (*path, index), _line(item)) for index, item in enumerate(node.value))
            return Node(tuple(items), line, key_line)
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, path), line, key_line)
        return Node(self._refuse(path, f"the tag {node.tag.removeprefix(_TAG)!r}", "remove it"), line, key_line)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key, value in node.value:
            line = _line(key)
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
                self.problems.add(path, *_describe_key(key), line=line)
                continue
            here = (*path, key.value)
            if key.value in entries:
                first = entries[key.value].key_line
                self.problems.add(here, f"the key again (first on line {first})", "keep one of them", line=line)
                continue
            entries[key.value] = self.read(value, here, line)
        return entries

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Scalar:
        kind, text = node.tag.removeprefix(_TAG), str(node.value)
        if kind in ("str", "null"):
            return text if kind == "str" else None
        if kind == "bool" and text.lower() in ("true", "false"):
            return bool(text.lower() == "true")
        if kind == "int" and _WHOLE.fullmatch(text) and len(text) <= _MAX_DIGITS:
            return int(text)
        if kind == "float" and _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        words = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date"}
        if kind in words:
            plainly = "true or false" if kind == "bool" else "a decimal number that fits into 64 bits"
            found = f"{_shorten(text)}, which YAML reads as {words[kind]}"
            return self._refuse(path, found, f"write {plainly}, or put it in quotes")
        return self._refuse(path, f"the tag {kind!r}", "remove it")

    def _refuse(self, path: Path, found: str, remedy: str) -> Broken:
        self.problems.add(path, found, remedy)
        return Broken.BROKEN


def _line(item: yaml.Node | yaml.Event) -> int:
    return item.start_mark.line + 1 if item.start_mark else 1


def _describe_key(key: yaml.Node) -> tuple[str, str]:
    if key.tag == f"{_TAG}merge":
        return "a merge (<<)", "write the keys out, or anchor a whole value"
    if isinstance(key, yaml.ScalarNode):
        return f"the key {_shorten(key.value)}, which is not text for YAML", "put it in quotes"
    return "a key that is not text", "write a word"


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
