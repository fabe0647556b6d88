"""When another attempt is made: the words of Envoy's `retry_on`, as far as they mean something for HTTP/1.1.

Nothing is retried once the head of an answer went to the client.
"""

from __future__ import annotations

import email.utils
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from tandem.router.calls import Failure

_GATEWAY_STATUSES = (502, 503, 504)
_BACKOFF_SEC = 0.025
_MAX_BACKOFF_SEC = 0.25
#: The longest that a request waits because its only backend asked for it.
MAX_WAIT_SEC = 5.0


def after_failure(retry_on: Collection[str], failure: Failure) -> bool:
    """Tell whether a call that ended without an answer is tried again.

    An answer that takes too long is not: the time of the call is up with it. `refused-stream` is a word of HTTP/2.
    """
    words: tuple[str, ...]
    if failure == "connect":
        words = ("connect-failure", "reset", "reset-before-request", "gateway-error", "5xx")
    elif failure in ("closed", "garbage"):
        words = ("reset", "gateway-error", "5xx")
    else:
        return False
    return any(word in retry_on for word in words)


def after_status(retry_on: Collection[str], status: int) -> bool:
    """Tell whether an answer is thrown away for another attempt."""
    return (500 <= status <= 599 and "5xx" in retry_on) or (status in _GATEWAY_STATUSES and "gateway-error" in retry_on)


def backoff_sec(attempt: int) -> float:
    """Return how long to wait before a retry, the first being 1: longer each time, and never all at once."""
    return random.uniform(0, min(_BACKOFF_SEC * (2**attempt - 1), _MAX_BACKOFF_SEC))  # noqa: S311 - no secret


def retry_after_sec(value: str | None) -> float | None:
    """Return what a Retry-After asks for, as seconds from now."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
