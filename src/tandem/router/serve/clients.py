"""Which client is asking: the keys of a listener, known by the names of their variables."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEARER = re.compile(r"bearer[ \t]+(.+)", re.IGNORECASE)


class ClientKeys:
    """Compares keys in constant time: which ones there are, how long they are and how much is right stays unknown."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._digests = [(name, _digest(key)) for name, key in keys.items()]

    def __bool__(self) -> bool:
        """Tell whether clients need a key."""
        return bool(self._digests)

    def name_of(self, headers: Mapping[str, str]) -> str | None:
        """Return the name of the key that a request carries, as `Authorization: Bearer KEY` or `api-key: KEY`."""
        found = None
        bearer = _BEARER.fullmatch(headers.get("authorization", ""))
        for given in (bearer[1].strip() if bearer else None, headers.get("api-key")):
            if given is None:
                continue
            digest = _digest(given)
            for name, known in self._digests:  # all of them, always
                if hmac.compare_digest(digest, known):
                    found = found or name
        return found


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("latin-1", "replace"), digest_size=32).digest()
