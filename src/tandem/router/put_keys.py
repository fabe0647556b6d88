"""Before upstream's router starts: its keys, from systemd's credentials into a directory of its own in memory.

``python -m tandem.router.put_keys text IN OUT`` puts them into a text in place of ``${NAME}``, ``... environment OUT
NAME...`` writes a file that a shell reads. What is written can be read by its owner alone, and is gone when the service
is.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.errors import TandemError
from tandem.front.keys import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


def put(text: str, lookup: Callable[[str], str]) -> str:
    """Return a text with the value of each key in place of its name."""
    return _REFERENCE.sub(lambda match: lookup(match[1]), text)


def read(directory: Path, name: str) -> str:
    """Return a key; one that a line of code or a header would read otherwise is refused, and never shown."""
    try:
        key = (directory / name).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TandemError(f"{directory / name}: cannot read this key ({type(error).__name__})") from error
    if not KEY.fullmatch(key):
        raise TandemError(
            f"{directory / name}: found what cannot be a key; use letters, digits and ._~+/=-, 16 to 512 of them"
        )
    return key


def write(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, from the first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="put_keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    template = commands.add_parser("text")
    template.add_argument("source", type=Path)
    template.add_argument("out", type=Path)
    environment = commands.add_parser("environment")
    environment.add_argument("out", type=Path)
    environment.add_argument("names", nargs="*")
    arguments = parser.parse_args(argv)
    credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))
    try:
        if arguments.command == "text":
            text = put(arguments.source.read_text(encoding="utf-8"), lambda name: read(credentials, name))
        else:
            text = "".join(f"{name}={shlex.quote(read(credentials, name))}\n" for name in arguments.names)
        write(arguments.out, text)
    except (TandemError, OSError) as error:
        print(f"put_keys: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
