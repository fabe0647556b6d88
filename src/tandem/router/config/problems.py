"""What is wrong in a configuration: where, what was found, what to do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

#: The way to a value: keys of mappings and positions in lists.
Path = tuple[str | int, ...]

#: More are counted, not kept: nobody reads them, and looking them over would take ever longer.
MAX_PROBLEMS = 300
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to put right. `line` counts from 1; 0 is the file as a whole."""

    line: int
    path: str
    found: str
    remedy: str

    def render(self, file: str) -> str:
        """Return the problem as one line: ``file:line: key.path: found X; do Y``."""
        place = f"{file}:{self.line}" if self.line else file
        return f"{place}: {self.path}{': ' if self.path else ''}found {self.found}; {self.remedy}"


@dataclass
class Problems:
    """Collects problems and knows the line of each value."""

    lines: dict[Path, int] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)
    left_out: int = 0

    def add(self, path: Path, found: str, remedy: str, *, line: int | None = None) -> None:
        """Note a problem at `path`; one that is not in the file has the line of what surrounds it."""
        if line is None:
            line = next((self.lines[part] for part in _and_around(path) if part in self.lines), 1)
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(line, render(path), found, remedy))
        else:
            self.left_out += 1

    def all(self) -> tuple[Problem, ...]:
        """Return the problems, sorted by line, each once."""
        more = [Problem(0, "", f"{self.left_out} more problems", "correct these first")] if self.left_out else []
        return tuple(sorted({*self.found, *more}))

    def below(self, path: Path) -> bool:
        """Tell whether a problem was found at `path` or inside of it."""
        name = render(path)
        return any(problem.path == name or problem.path.startswith((f"{name}.", f"{name}[")) for problem in self.found)


def render(path: Path) -> str:
    """Return a path as people write it: ``routing.decisions[0].name``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}"
        else:
            text += f"[{json.dumps(part[:64])}]"  # a key may hold anything, an error stays one line
    return text.removeprefix(".")


def _and_around(path: Path) -> list[Path]:
    return [path[:length] for length in range(len(path), -1, -1)]
