"""The files of the repository, as git knows them."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def tracked(pattern: str = "*") -> list[Path]:
    """Return the tracked and the new, not ignored files that match a git pattern (``**`` crosses directories)."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", f":(glob){pattern}"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for line in set(output.splitlines()) if (path := ROOT / line).is_file())


def name(path: Path) -> str:
    """Return a path as a test id."""
    return str(path.relative_to(ROOT))


def read(path: Path) -> str:
    """Return the text of a file; nothing for one that is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
