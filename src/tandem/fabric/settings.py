"""What the gate measures and how long that may take.

``settings`` are the values of ``fabric_gate_*``, by their names without that prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tandem.errors import TandemError

Settings = Mapping[str, Any]
Measurement = dict[str, Any]

#: Small messages by send and receive, as collectives start; large ones by write, as they move data.
LATENCY_TESTS = {"roce": "send_lat", "tcp": "tcp_lat"}
BANDWIDTH_TESTS = {"roce": "write_bw", "tcp": "tcp_bw"}
#: Both ends of iperf3 meet here unless fabric_gate_tcp_control_port says otherwise.
TCP_CONTROL_PORT = 5201
#: The four pings of a healthy pair: three frames each, 0.2 s apart, and starting them.
PINGS_S = 3.0
#: A link at the least bandwidth that passes needs this share of a run's time.
_SHARE_OF_TIMEOUT = 0.5
#: With fewer messages the start of the run is measured more than its course.
_FEWEST_ITERATIONS = 20


def setting(settings: Settings, name: str) -> Any:  # noqa: ANN401
    """Return a setting; that it is missing is told by its whole name."""
    if settings.get(name) is None:
        raise TandemError(f"fabric_gate_{name} has no value; give it one, or remove it to have the default")
    return settings[name]


def limit(settings: Settings, transport: str, name: str) -> float:
    """Return a threshold, each of which the transports have of their own."""
    return float(setting(settings, f"{transport}_{name}"))


def control_port(settings: Settings, transport: str) -> int:
    """Return the TCP port at which the ends of a run meet."""
    if transport == "tcp":
        return int(settings.get("tcp_control_port") or TCP_CONTROL_PORT)
    return int(setting(settings, "control_port"))


def measurements(settings: Settings, transport: str, ceiling_gbit_per_s: float | None = None) -> list[Measurement]:
    """Return the runs of one direction: small latencies first, then bandwidths, each from small to large.

    In this order the first run that fails tells most. ``ceiling_gbit_per_s`` is that of the pair if it is known: a
    slow link then sends fewer messages, or a run of it would never end in time.
    """
    if transport not in LATENCY_TESTS:
        raise TandemError(f"the gate knows no transport {transport!r}; choose one of {', '.join(LATENCY_TESTS)}")
    prefix = "tcp_" if transport == "tcp" else ""
    timeout_s = float(setting(settings, "run_timeout_sec"))
    latencies = [
        {
            "test": LATENCY_TESTS[transport],
            "message_size_bytes": size,
            "iterations": int(setting(settings, f"{prefix}latency_iterations")),
            "timeout_s": timeout_s,
        }
        for size in _sizes(settings, f"{prefix}latency_sizes_bytes")
    ]
    return latencies + [
        {"test": BANDWIDTH_TESTS[transport], "message_size_bytes": size}
        | _extent(settings, transport, size, ceiling_gbit_per_s)
        for size in _sizes(settings, f"{prefix}bandwidth_sizes_bytes")
    ]


def time_limit_s(runs: Sequence[Mapping[str, Any]]) -> float:
    """Return how long one pair may take: both directions, one run after the other, and the pings."""
    return round(2 * sum(float(run["timeout_s"]) for run in runs) + PINGS_S, 1)


def _sizes(settings: Settings, name: str) -> list[int]:
    sizes = sorted({int(size) for size in setting(settings, name)})
    if not sizes:
        raise TandemError(f"fabric_gate_{name} is empty; name at least one message size in bytes")
    return sizes


def _extent(settings: Settings, transport: str, size: int, ceiling_gbit_per_s: float | None) -> dict[str, Any]:
    timeout_s = float(setting(settings, "run_timeout_sec"))
    if transport == "tcp":
        duration_s = int(setting(settings, "tcp_bandwidth_duration_sec"))
        # The time for the ends to meet comes on top of the measurement.
        return {"duration_s": duration_s, "timeout_s": timeout_s + duration_s}
    iterations = int(setting(settings, "bandwidth_iterations"))
    percent = limit(settings, transport, "bandwidth_min_percent")
    if ceiling_gbit_per_s and percent:
        bits_per_s = ceiling_gbit_per_s * 1e9 * percent / 100
        fitting = int(bits_per_s * timeout_s * _SHARE_OF_TIMEOUT / (8 * size))
        iterations = min(iterations, max(fitting, _FEWEST_ITERATIONS))
    return {"iterations": iterations, "timeout_s": timeout_s}
