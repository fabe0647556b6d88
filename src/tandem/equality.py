"""In what the nodes that work together differ, as a table of node against node: pure functions.

What must be equal ends a run. What should be, such as the kernel, is told: nodes are updated one after the other, and
vLLM's ranks do not mind in general. ``strict`` makes it an error as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from tandem.links import link_transport, links_of

Versions = Mapping[str, Mapping[str, Any]]
"""What module ``node_versions_info`` returned, by node."""

MUST, SHOULD, ALLOWED = "must be equal", "should be equal", "allowed"
_LONGEST_VALUE = 44
#: A node that has no such thing.
_NONE = "none"


@dataclass(frozen=True)
class Row:
    """One thing that was compared. A node that cannot tell has no value."""

    name: str
    values: Mapping[str, str]
    level: str
    reason: str = ""

    @property
    def equal(self) -> bool:
        """Whether no two nodes differ."""
        return len(set(self.values.values())) < 2


def compare(
    versions: Versions,
    links: Sequence[Mapping[str, Any]],
    engines: Sequence[Mapping[str, Any]],
    *,
    allowed: Sequence[Mapping[str, Any]] = (),
    strict: bool = False,
) -> list[Row]:
    """Return everything that at least two nodes told, in the order in which it is shown."""
    rows = [
        *_rows_of_links(versions, links),
        *_rows_of_engines(versions, engines),
        *_rows_of_all(versions, links, engines),
    ]
    found = {(row.name, tuple(row.values)): row for row in rows if len(row.values) > 1}
    return [_excuse(replace(row, level=MUST) if strict else row, allowed) for row in found.values()]


def report(
    versions: Versions,
    links: Sequence[Mapping[str, Any]],
    engines: Sequence[Mapping[str, Any]],
    allowed: Sequence[Mapping[str, Any]] = (),
    *,
    strict: bool = False,
) -> dict[str, Any]:
    """Return what a run shows (``lines``), and whether the nodes differ in what must be equal (``failed``)."""
    rows = compare(versions, links, engines, allowed=allowed, strict=strict)
    unequal = [row for row in rows if not row.equal]
    equal = len(rows) - len(unequal)
    nodes = [node for node in versions if any(node in row.values for row in rows)]
    count = f"{equal} {'thing is' if equal == 1 else 'things are'} equal on {', '.join(nodes)}"
    notes = _needless(rows, allowed)
    if not nodes:
        return {"failed": False, "warned": False, "lines": ["No two nodes work together: there is nothing to compare."]}
    if not unequal:
        return {"failed": False, "warned": False, "lines": [f"{count}, none differs.", *notes]}
    levels = {row.level for row in unequal}
    return {
        "failed": MUST in levels,
        "warned": SHOULD in levels,
        "lines": [f"{count}, {len(unequal)} {'differs' if len(unequal) == 1 else 'differ'}:", *table(unequal), *notes],
    }


def table(rows: Sequence[Row]) -> list[str]:
    """Return rows as lines of fixed width, a column for each node."""
    nodes = list(dict.fromkeys(node for row in rows for node in row.values))
    cells = [["", *nodes, ""]]
    for row in rows:
        verdict = f"{row.level}: {row.reason}" if row.reason else row.level
        cells.append([row.name, *(_short(row.values.get(node, "-")) for node in nodes), verdict])
    widths = [max(len(line[column]) for line in cells) for column in range(len(nodes) + 1)]
    return ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[-1]]).rstrip() for line in cells]


def _rows_of_links(versions: Versions, links: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for link in links:
        name = str(link["name"])
        must_pause = MUST if link_transport(links, name) == "roce" else SHOULD
        ends = {node: told["links"][name] for node, told in versions.items() if told["links"].get(name)}
        yield Row(f"{name} MTU", _told(ends, lambda end: end["mtu_bytes"]), MUST)
        yield Row(f"{name} pause", _told(ends, lambda end: _pause(end["pause"])), must_pause)
        for card in dict.fromkeys(end["card"] for end in ends.values() if end["card"]):
            alike = {node: end for node, end in ends.items() if end["card"] == card}
            yield Row(f"{name} driver", _told(alike, lambda end: end["driver"]), MUST)
            # A driver of the kernel has the kernel's version, which is compared once.
            own = {node: end for node, end in alike.items() if end["driver_version"] != versions[node]["kernel"]}
            yield Row(f"{name} driver version", _told(own, lambda end: end["driver_version"]), SHOULD)
            yield Row(f"{name} firmware", _told(alike, lambda end: end["firmware"]), SHOULD)
            for part in sorted({part for end in alike.values() for part in end["firmware_components"]}):
                parts = {node: end["firmware_components"].get(part) for node, end in alike.items()}
                yield Row(f"{name} {part}", _told(parts, lambda value: value), SHOULD)


def _rows_of_engines(versions: Versions, engines: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """What the ranks of one engine run on."""
    for engine in engines:
        told = {node: versions[node] for node in engine["nodes"] if node in versions}
        container = engine.get("runtime", "venv") == "container"
        if container:
            # The one of an engine that was never started here is not known.
            images = {node: facts["images"].get(engine["name"]) for node, facts in told.items()}
            yield Row(f"image {engine['name']}", _told(images, lambda image: image and image[:19]), MUST)
        programs = dict.fromkeys(program for facts in told.values() for program in facts["runtimes"])
        # A router is the program of its own node.
        programs.pop("router", None)
        for program in programs:
            values = {node: facts["runtimes"].get(program, _NONE) for node, facts in told.items()}
            yield Row(f"runtime {program}", values, MUST)
        for name in sorted({name for facts in told.values() for name in facts["kernel_arguments"]}):
            values = {node: facts["kernel_arguments"].get(name, _NONE) for node, facts in told.items()}
            yield Row(f"kernel argument {name}", values, MUST)


def _rows_of_all(
    versions: Versions, links: Sequence[Mapping[str, Any]], engines: Sequence[Mapping[str, Any]]
) -> Iterator[Row]:
    """What the nodes that have to do with each other have below that."""
    together = {node for engine in engines if len(engine["nodes"]) > 1 for node in engine["nodes"]}
    told = {node: facts for node, facts in versions.items() if node in together or links_of(links, node)}
    yield Row("kernel", _told(told, lambda facts: facts["kernel"]), SHOULD)
    yield Row("distribution", _told(told, lambda facts: facts["distribution"]), SHOULD)
    known = {node: facts["packages"] for node, facts in told.items() if facts["packages"] is not None}
    for package in sorted({package for packages in known.values() for package in packages}):
        values = {node: packages.get(package, _NONE) for node, packages in known.items()}
        yield Row(f"package {package}", values, SHOULD)


def _told(source: Mapping[str, Any], value: Any) -> dict[str, str]:  # noqa: ANN401 (a function of whatever source holds)
    found = {node: value(facts) for node, facts in source.items()}
    return {node: str(told) for node, told in found.items() if told is not None}


def _pause(pause: Mapping[str, bool | None] | None) -> str | None:
    if pause is None:
        return None
    words = {True: "on", False: "off", None: "?"}
    asked, agreed = (
        f"rx {words[pause[f'{prefix}rx']]}, tx {words[pause[f'{prefix}tx']]}" for prefix in ("", "negotiated_")
    )
    return f"{asked}; negotiated {agreed}"


def _excuse(row: Row, allowed: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row as one that is allowed, if an exception says why."""
    for exception in allowed:
        others = {
            node: value for node, value in row.values.items() if node not in (exception.get("nodes") or row.values)
        }
        if not row.equal and fnmatchcase(row.name, exception["name"]) and len(set(others.values())) < 2:
            return replace(row, level=ALLOWED, reason=str(exception["reason"]))
    return row


def _needless(rows: Sequence[Row], allowed: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each exception that excuses nothing (any more)."""
    excused = [row.name for row in rows if row.level == ALLOWED]
    return [
        f"node_equality_allowed: nothing named {exception['name']!r} differs; take the entry out"
        for exception in allowed
        if not any(fnmatchcase(name, exception["name"]) for name in excused)
    ]


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 3] + "..."
