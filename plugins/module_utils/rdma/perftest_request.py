"""One end of one perftest run: what may be asked for, and the command that does it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

TESTS = ("send_lat", "write_lat", "read_lat", "send_bw", "write_bw", "read_bw")
# Limits of perftest itself; it refuses anything else, in words that name no option of the module.
ITERATIONS = range(5, 100_000_001)
MESSAGE_SIZES_BYTES = range(1, 2**31)
MTUS_BYTES = (256, 512, 1024, 2048, 4096)
QUEUE_PAIRS = range(1, 16_385)
# Which of these a device has is for the tool to say.
GID_INDICES = range(65_536)
PORTS = range(1, 65_536)
CONTROL_PORTS = range(1, 65_536)


class RequestError(Exception):
    """Parameters that cannot work together; nothing was run."""


@dataclass(frozen=True)
class Request:
    """One end of a run. Both ends need the same options, apart from device, port, GID index and server."""

    test: str
    device: str
    server: str | None = None
    """The address of the other end; None: be the server and wait for it."""
    port: int = 1
    gid_index: int | None = None
    message_size_bytes: int | None = None
    all_sizes: bool = False
    iterations: int | None = None
    duration_s: int | None = None
    mtu_bytes: int | None = None
    queue_pairs: int | None = None
    inline_size_bytes: int | None = None
    rdma_cm: bool = False
    control_port: int = 18515
    timeout_s: float = 30.0
    connect_timeout_s: float = 0.0

    @property
    def measures_latency(self) -> bool:
        """Whether the results are latencies, not bandwidths."""
        return self.test.endswith("_lat")

    @property
    def is_client(self) -> bool:
        """Whether this end measures and reports."""
        return self.server is not None


def check_request(request: Request) -> None:
    """Refuse what perftest would refuse, or what could never end in time."""
    if request.test not in TESTS:
        raise RequestError(f"test is one of {', '.join(TESTS)}, not {request.test!r}")
    _check_words(request)
    _check_ranges(request)
    _check_combinations(request)


def _check_words(request: Request) -> None:
    for name, value in (("device", request.device), ("server", request.server)):
        # A leading '-' would be an option of the tool.
        if value is not None and (not value or value.startswith("-") or value.split() != [value]):
            hint = "; leave it out to be the server" if name == "server" else ""
            raise RequestError(f"{name} is {value!r}, which names nothing{hint}")


def _check_ranges(request: Request) -> None:
    for name, allowed in (
        ("port", PORTS),
        ("gid_index", GID_INDICES),
        ("message_size_bytes", MESSAGE_SIZES_BYTES),
        ("iterations", ITERATIONS),
        ("queue_pairs", QUEUE_PAIRS),
        ("control_port", CONTROL_PORTS),
    ):
        value = getattr(request, name)
        if value is not None and value not in allowed:
            raise RequestError(f"{name} must be between {allowed[0]} and {allowed[-1]}, not {value}")
    if request.mtu_bytes is not None and request.mtu_bytes not in MTUS_BYTES:
        choices = ", ".join(str(mtu) for mtu in MTUS_BYTES)
        raise RequestError(f"mtu_bytes is one of {choices} (the MTU of RDMA, not of Ethernet), not {request.mtu_bytes}")
    if request.inline_size_bytes is not None and request.inline_size_bytes < 0:
        raise RequestError("inline_size_bytes must not be negative")
    if request.duration_s is not None and request.duration_s < 1:
        raise RequestError(f"duration_s must be at least 1, not {request.duration_s}")
    # Written so that "not a number" is refused too.
    if not 0 < request.timeout_s < float("inf"):
        raise RequestError(f"timeout_s must be above 0, not {request.timeout_s:g}")
    if not 0 <= request.connect_timeout_s <= request.timeout_s:
        raise RequestError("connect_timeout_s is a part of timeout_s and must be between 0 and that")


def _check_combinations(request: Request) -> None:
    if request.duration_s is not None:
        if request.iterations is not None:
            raise RequestError("give duration_s or iterations, not both")
        if request.all_sizes:
            raise RequestError("perftest cannot run all_sizes for a duration; give iterations")
        if request.duration_s >= request.timeout_s:
            raise RequestError(f"duration_s ({request.duration_s}) must be shorter than timeout_s")
    if request.all_sizes and request.message_size_bytes is not None:
        raise RequestError("give message_size_bytes or all_sizes, not both")
    if request.queue_pairs is not None and request.measures_latency:
        raise RequestError("queue_pairs is for bandwidth tests: perftest measures latency with one")
    if request.inline_size_bytes is not None and request.test.startswith("read_"):
        raise RequestError("inline_size_bytes is for send and write tests")


def perftest_argv(request: Request) -> list[str]:
    """The command of this end."""
    argv = [f"ib_{request.test}", "-d", request.device, "-i", str(request.port), "-p", str(request.control_port)]
    for option, value in (
        ("-x", request.gid_index),
        ("-s", request.message_size_bytes),
        ("-n", request.iterations),
        ("-D", request.duration_s),
        ("-m", request.mtu_bytes),
        ("-q", request.queue_pairs),
        ("-I", request.inline_size_bytes),
    ):
        if value is not None:
            argv += [option, str(value)]
    if request.all_sizes:
        argv.append("-a")
    if request.rdma_cm:
        argv.append("-R")
    # Without -F some versions stop where the clock of the CPU varies.
    argv.append("-F")
    if not request.measures_latency:
        # Every version since 2.0 (2013) has it. Whatever unit is printed then, the header names it.
        argv.append("--report_gbits")
    if request.server is not None:
        argv.append(request.server)
    return argv
