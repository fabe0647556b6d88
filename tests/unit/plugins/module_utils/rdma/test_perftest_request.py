"""Which requests are refused, and the command of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugins.module_utils.rdma.perftest_request import TESTS, Request, RequestError, check_request, perftest_argv

SERVER = Request("write_bw", "rocep194s0")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"test": "atomic_lat"}, "test is one of"),
        ({"server": ""}, "leave it out to be the server"),
        ({"server": "-h"}, "names nothing"),
        ({"server": "10.0.0.1 10.0.0.2"}, "names nothing"),
        ({"device": ""}, "device is ''"),
        ({"device": "--help"}, "names nothing"),
        ({"port": 0}, "port must be between 1"),
        ({"gid_index": -1}, "gid_index must be between 0"),
        ({"message_size_bytes": 0}, "message_size_bytes must be between 1"),
        ({"message_size_bytes": 2**31}, "message_size_bytes must be"),
        ({"iterations": 4}, "iterations must be between 5"),
        ({"duration_s": 0}, "duration_s must be at least 1"),
        ({"duration_s": 2, "iterations": 5}, "duration_s or iterations"),
        ({"duration_s": 2, "all_sizes": True}, "for a duration"),
        ({"duration_s": 30}, "shorter than timeout_s"),
        ({"all_sizes": True, "message_size_bytes": 64}, "message_size_bytes or all_sizes"),
        ({"mtu_bytes": 9000}, "the MTU of RDMA, not of Ethernet"),
        ({"queue_pairs": 0}, "queue_pairs must be"),
        ({"queue_pairs": 2, "test": "send_lat"}, "for bandwidth tests"),
        ({"inline_size_bytes": -1}, "must not be negative"),
        ({"inline_size_bytes": 64, "test": "read_lat"}, "for send and write tests"),
        ({"control_port": 65536}, "control_port must be"),
        ({"timeout_s": 0.0}, "timeout_s must be above 0"),
        ({"timeout_s": float("nan")}, "timeout_s must be above 0"),
        ({"timeout_s": float("inf")}, "timeout_s must be above 0"),
        ({"connect_timeout_s": 31.0}, "a part of timeout_s"),
        ({"connect_timeout_s": -1.0}, "a part of timeout_s"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        check_request(replace(SERVER, **changes))


@pytest.mark.parametrize("test", TESTS)
def test_defaults_are_those_of_the_tool(test: str) -> None:
    request = replace(SERVER, test=test)
    check_request(request)
    bandwidth = [] if test.endswith("lat") else ["--report_gbits"]
    assert perftest_argv(request) == [f"ib_{test}", "-d", "rocep194s0", "-i", "1", "-p", "18515", "-F", *bandwidth]


def test_all_options() -> None:
    request = Request(
        "send_bw", "mlx5_0", "10.0.0.1", 2, 3, 65536, iterations=100, mtu_bytes=4096, queue_pairs=4,
        inline_size_bytes=0, rdma_cm=True, control_port=18600,
    )  # fmt: skip
    check_request(request)
    words = "ib_send_bw -d mlx5_0 -i 2 -p 18600 -x 3 -s 65536 -n 100 -m 4096 -q 4 -I 0 -R -F --report_gbits 10.0.0.1"
    assert " ".join(perftest_argv(request)) == words


def test_all_sizes_and_duration() -> None:
    assert "-a" in perftest_argv(replace(SERVER, all_sizes=True))
    assert perftest_argv(replace(SERVER, duration_s=3))[7:9] == ["-D", "3"]
