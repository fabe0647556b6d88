"""What one end of a run returned: the registered result of rdma_perftest or tcp_perftest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

State = Literal["absent", "unreachable", "failed", "broken", "ok"]

LATENCIES = tuple(f"latency_{name}_usec" for name in ("min", "max", "typical", "avg", "stdev", "p99", "p999"))
BANDWIDTHS = ("bandwidth_peak_gbit_per_s", "bandwidth_avg_gbit_per_s", "message_rate_mpps")
METRICS = LATENCIES + BANDWIDTHS
#: The statistic of bandwidth that is judged.
BANDWIDTH_METRIC = "bandwidth_avg_gbit_per_s"

_SIGNALS = range(129, 193)


class End:
    """One end of a run."""

    def __init__(self, node: str, result: Mapping[str, Any] | None) -> None:
        self.node = node
        self.result: Mapping[str, Any] = result or {}

    @property
    def state(self) -> State:
        """``failed``: the tool failed and the module says how; ``broken``: the module itself did not work."""
        if self.result.get("unreachable"):
            return "unreachable"
        if self.result.get("error_kind"):
            return "failed"
        if self.result.get("failed"):
            return "broken"
        if not self.result or self.result.get("skipped"):
            return "absent"
        return "ok" if "results" in self.result else "broken"

    @property
    def kind(self) -> str | None:
        """The module's ``error_kind``."""
        return str(self.result["error_kind"]) if self.state == "failed" else None

    @property
    def phase(self) -> str | None:
        """How far the run came."""
        return self.result.get("phase") if self.state == "failed" else None

    @property
    def was_killed(self) -> bool:
        """Whether a signal from outside ended the tool, as opposed to it missing the other end."""
        returncode = self.result.get("returncode")
        return self.kind == "peer_lost" and returncode is not None and (returncode < 0 or returncode in _SIGNALS)

    @property
    def words(self) -> str:
        """What the module said, without its advice."""
        text = str(self.result.get("msg") or "it ended without a word").strip()
        remedy = str(self.result.get("remedy") or "")
        if remedy and text.endswith(remedy):
            text = text.removesuffix(remedy)
        return " ".join(text.split()).rstrip(". ")

    @property
    def advice(self) -> str:
        """What the module advises."""
        return str(self.result.get("remedy") or "").strip().rstrip(".")


def row(result: Mapping[str, Any], message_size_bytes: int) -> dict[str, Any] | None:
    """Return what a run measured at a size, with every metric; None if it measured nothing."""
    found = [
        entry
        for entry in result.get("results") or []
        if entry.get("message_size_bytes") in (message_size_bytes, None)
        and any(entry.get(metric) is not None for metric in METRICS)
    ]
    if not found:
        return None
    return {"iterations": found[0].get("iterations")} | {metric: found[0].get(metric) for metric in METRICS}
