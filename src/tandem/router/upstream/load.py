"""What vLLM says of its load on /metrics."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tandem.router.calls import Load

#: `vllm:kv_cache_usage_perc` is a fraction in spite of its name. A data-parallel server has a line for each engine.
_LINE = re.compile(
    rb"^vllm:(num_requests_waiting|kv_cache_usage_perc)(?:\{[^\n]*\})?[ \t]+([^ \t\n]+)[^\n]*$", re.MULTILINE
)
INTERVAL_SEC = 1.0
TIMEOUT_SEC = 2.0
MAX_BYTES = 8 << 20
#: Older than this says nothing of now.
MAX_AGE_SEC = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one backend said, and when."""

    load: Load
    at: float


def parse(text: bytes) -> Load:
    """Return the load in the text of Prometheus: requests of all engines together, the fullest KV cache."""
    found: dict[bytes, list[float]] = {}
    for name, value in _LINE.findall(text):
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number) and number >= 0:
            found.setdefault(name, []).append(number)
    waiting, usage = found.get(b"num_requests_waiting"), found.get(b"kv_cache_usage_perc")
    return Load(
        waiting_requests=int(sum(waiting)) if waiting else None, kv_cache_usage=min(max(usage), 1.0) if usage else None
    )


def least(measured: list[Measured], now: float) -> Load:
    """Return the load of the backend that has least to do, of those that told lately."""
    fresh = [one.load for one in measured if now - one.at <= MAX_AGE_SEC]
    return min(fresh, key=_rank, default=Load())


def _rank(load: Load) -> tuple[bool, float, float]:
    unknown = load.waiting_requests is None and load.kv_cache_usage is None
    return unknown, load.waiting_requests or 0, load.kv_cache_usage or 0.0
