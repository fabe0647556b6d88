"""What may be asked for, and the command that does it."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.tcp.request import Request, RequestError, check_request, client_argv, server_argv


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"test": "udp_bw", "server": "10.0.0.1"}, "test is one of"),
        ({"test": "tcp_bw"}, "bind_address"),
        ({"test": "tcp_lat"}, "bind_address"),
        ({"test": "tcp_bw", "server": ""}, "no address"),
        ({"test": "tcp_bw", "server": "-c"}, "no address"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "bind_address": "a b"}, "no address"),
        ({"test": "tcp_lat", "server": "10.0.0.1", "message_size_bytes": 8}, "between 16 and"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "message_size_bytes": 2**21}, "message_size_bytes"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "iterations": 100}, "duration_s"),
        ({"test": "tcp_lat", "server": "10.0.0.1", "duration_s": 1}, "iterations"),
        ({"test": "tcp_lat", "server": "10.0.0.1", "iterations": 3000, "timeout_s": 5.0}, "6 s"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "duration_s": 4, "timeout_s": 4.0}, "longer than duration_s"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "duration_s": 0}, "at least 1"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "timeout_s": float("nan")}, "above 0"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "connect_timeout_s": 60.0}, "part of timeout_s"),
        ({"test": "tcp_bw", "server": "10.0.0.1", "control_port": 0}, "control_port"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        check_request(Request(**given))


def test_the_commands() -> None:
    both: dict[str, Any] = {"test": "tcp_bw", "bind_address": "10.0.0.2", "duration_s": 2, "message_size_bytes": 131072}
    client = Request(server="10.0.0.1", **both)
    check_request(client)
    command = "iperf3 -c 10.0.0.1 -p 5201 -J -t 2 -l 131072 --connect-timeout 3500 -B 10.0.0.2"
    assert client_argv(client, 6.0) == command.split()
    server = Request(**both)
    check_request(server)
    assert server_argv(server) == ["iperf3", "-s", "-1", "-J", "-p", "5201", "-B", "10.0.0.2"]
    latency = Request(test="tcp_lat", server="10.0.0.1", message_size_bytes=64, iterations=200, bind_address="10.0.0.2")
    check_request(latency)
    command = "ping -n -c 200 -i 0.002 -s 64 -w 3 -I 10.0.0.2 10.0.0.1"
    assert client_argv(latency, 3.9) == command.split()
