"""One end of one measurement over TCP/IP: what may be asked for, and the command that does it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LATENCY, BANDWIDTH = "tcp_lat", "tcp_bw"
TESTS = (LATENCY, BANDWIDTH)
CONTROL_PORTS = range(1, 65_536)
ITERATIONS = range(5, 100_001)
#: ping needs 16 bytes for its time stamp, or it measures nothing. iperf3 takes up to 1 MiB.
LATENCY_SIZES_BYTES = range(16, 65_508)
BANDWIDTH_SIZES_BYTES = range(1, 1_048_577)
DEFAULT_ITERATIONS = 100
DEFAULT_DURATION_S = 2
DEFAULT_LATENCY_SIZE_BYTES = 64
#: The time between two echo requests. Shorter ones are for root alone.
PING_INTERVAL_S = 0.002
#: What meeting the other end and saying goodbye takes, beside the measurement itself.
OVERHEAD_S = 0.5


class RequestError(Exception):
    """Parameters that cannot work together; nothing was run."""


@dataclass(frozen=True)
class Request:
    """One end of a run. Both ends need the same test, port, size and duration."""

    test: str
    server: str | None = None
    """The address of the other end; None: be the server and wait for it."""
    bind_address: str | None = None
    message_size_bytes: int | None = None
    iterations: int | None = None
    duration_s: int | None = None
    control_port: int = 5201
    timeout_s: float = 30.0
    connect_timeout_s: float = 0.0

    @property
    def is_client(self) -> bool:
        """Whether this end measures."""
        return self.server is not None

    @property
    def seconds(self) -> int:
        """How long a bandwidth test lasts."""
        return self.duration_s if self.duration_s is not None else DEFAULT_DURATION_S


def check_request(request: Request) -> None:
    """Refuse what the tools would refuse, or what could never end in time."""
    if request.test not in TESTS:
        raise RequestError(f"test is one of {', '.join(TESTS)}, not {request.test!r}")
    for name, value in (("server", request.server), ("bind_address", request.bind_address)):
        # A leading '-' would be an option of the tool.
        if value is not None and (not value or value.startswith("-") or value.split() != [value]):
            raise RequestError(f"{name} is {value!r}, which is no address")
    if not request.is_client and request.bind_address is None:
        raise RequestError("the server needs bind_address, its own address on the link: else it would answer anywhere")
    sizes = LATENCY_SIZES_BYTES if request.test == LATENCY else BANDWIDTH_SIZES_BYTES
    for name, allowed in (
        ("message_size_bytes", sizes),
        ("iterations", ITERATIONS),
        ("control_port", CONTROL_PORTS),
    ):
        value = getattr(request, name)
        if value is not None and value not in allowed:
            raise RequestError(f"{name} must be between {allowed[0]} and {allowed[-1]} for {request.test}, not {value}")
    _check_times(request)


def _check_times(request: Request) -> None:
    # Written so that "not a number" is refused too.
    if not 0 < request.timeout_s < float("inf"):
        raise RequestError(f"timeout_s must be above 0, not {request.timeout_s:g}")
    if not 0 <= request.connect_timeout_s <= request.timeout_s:
        raise RequestError("connect_timeout_s is a part of timeout_s and must be between 0 and that")
    if request.test == LATENCY:
        if request.duration_s is not None:
            raise RequestError("duration_s is for tcp_bw; tcp_lat sends a number of messages (iterations)")
        needed = (request.iterations or DEFAULT_ITERATIONS) * PING_INTERVAL_S
        if needed >= request.timeout_s:
            raise RequestError(f"so many iterations take at least {needed:g} s, which timeout_s must be longer than")
        return
    if request.iterations is not None:
        raise RequestError("iterations is for tcp_lat; tcp_bw runs for a time (duration_s)")
    if request.seconds < 1:
        raise RequestError(f"duration_s must be at least 1, not {request.duration_s}")
    if request.seconds + OVERHEAD_S > request.timeout_s:
        raise RequestError(f"timeout_s must be at least {OVERHEAD_S} s longer than duration_s ({request.seconds})")


def client_argv(request: Request, left_s: float) -> list[str]:
    """The command that measures, if there are ``left_s`` seconds for it."""
    bind = [] if request.bind_address is None else ["-I" if request.test == LATENCY else "-B", request.bind_address]
    if request.test == LATENCY:
        count = str(request.iterations or DEFAULT_ITERATIONS)
        size = str(request.message_size_bytes or DEFAULT_LATENCY_SIZE_BYTES)
        # Whole seconds: what is left of the limit is cut off by the caller.
        deadline = str(max(1, int(left_s)))
        argv = ["ping", "-n", "-c", count, "-i", str(PING_INTERVAL_S), "-s", size, "-w", deadline]
        return [*argv, *bind, str(request.server)]
    # As long as there is time, so that a server that drops what we send is told from one that is slow.
    connect_ms = str(max(100, int((left_s - request.seconds - OVERHEAD_S) * 1000)))
    argv = ["iperf3", "-c", str(request.server), "-p", str(request.control_port), "-J", "-t", str(request.seconds)]
    size_option = [] if request.message_size_bytes is None else ["-l", str(request.message_size_bytes)]
    return [*argv, *size_option, "--connect-timeout", connect_ms, *bind]


def server_argv(request: Request) -> list[str]:
    """The command that waits for one bandwidth test; latency tests are answered by the kernel."""
    return ["iperf3", "-s", "-1", "-J", "-p", str(request.control_port), "-B", str(request.bind_address)]
