"""Keys that the configuration refers to: from the environment, or from systemd's directory of credentials."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.errors import TandemError
from tandem.router.config.values import FromEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tandem.router.config.settings import Config

_MAX_KEY_BYTES = 16384


class Keys:
    """Looks keys up; the directory of credentials wins, as it is the safer place."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        directory = environ.get("CREDENTIALS_DIRECTORY", "")
        self._directory = Path(directory) if directory else None

    def find(self, variable: str) -> str | None:
        """Return the key, or None where there is none. Raises TandemError for one that no header can carry."""
        value = self._environ.get(variable)
        if self._directory is not None and (self._directory / variable).is_file():
            path = self._directory / variable
            try:
                value = path.read_bytes()[: _MAX_KEY_BYTES + 1].decode()
            except (OSError, UnicodeDecodeError) as error:
                raise TandemError(f"the credential {variable} cannot be read ({error}); write a key into it") from None
        value = (value or "").strip()
        if not value:
            return None
        if not value.isascii() or not value.isprintable() or len(value) > _MAX_KEY_BYTES:
            raise TandemError(f"{variable} is no key that a header can carry; write printable ASCII into it")
        return value

    def text(self, reference: FromEnvironment) -> str:
        """Return the whole value of a header or key. Raises TandemError where the key is missing."""
        value = self.find(reference.variable)
        if value is None:
            raise TandemError(f"{reference.variable} is not set; put the key into it or into the systemd credential")
        return reference.prefix + value


def references(config: Config) -> Iterator[FromEnvironment]:
    """Yield everything in the configuration that comes from the environment."""
    for listener in config.listeners:
        yield from listener.api_keys
    for model in config.providers.models:
        for backend in model.backend_refs:
            if backend.key:
                yield backend.key
            yield from (value for value in backend.extra_headers.values() if isinstance(value, FromEnvironment))
    endpoint = config.general.model_catalog.embeddings.semantic.endpoint
    if endpoint and endpoint.api_key_env:
        yield FromEnvironment(endpoint.api_key_env)


def check(config: Config, keys: Keys, file: str, text: str) -> None:
    """Raise TandemError for the first missing keys, with the line of the file where each is asked for."""
    wanted = dict.fromkeys(reference.variable for reference in references(config))
    missing = [variable for variable in wanted if keys.find(variable) is None]
    if missing:
        what = ", ".join(f"{variable} ({file}:{line_of(variable, text)})" for variable in missing)
        verb = "is" if len(missing) == 1 else "are"
        raise TandemError(f"{what} {verb} not set; put each key into the environment or a systemd credential")


def line_of(variable: str, text: str) -> int:
    """Return the first line of the file that names the variable."""
    name = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(variable)}(?![A-Za-z0-9_])")
    lines = (number for number, line in enumerate(text.splitlines(), 1) if name.search(line.split(" #", 1)[0]))
    return next(lines, 1)
