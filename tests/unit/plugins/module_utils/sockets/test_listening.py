"""Recorded output of ss and of /proc/PID/cgroup."""

from pathlib import Path

import pytest

from plugins.module_utils.sockets.listening import Socket, SocketsError, parse_sockets, parse_unit

FIXTURES = Path(__file__).parents[4] / "fixtures" / "sockets"
LINK_LOCAL = "fe80::bcee:83ff:fe8e:5cd2"


def test_both_protocols() -> None:
    sockets = parse_sockets((FIXTURES / "tcp_and_udp.txt").read_text())
    assert {(s.protocol, s.address, s.port, s.interface) for s in sockets} == {
        ("udp", "0.0.0.0", 68, "eth0"),
        ("udp", LINK_LOCAL, 546, "eth0"),
        ("tcp", "0.0.0.0", 8001, None),
        ("tcp", "0.0.0.0", 8005, "eth0"),
        ("tcp", "192.168.100.1", 29499, None),
        ("tcp", "127.0.0.1", 8000, None),
        ("tcp", LINK_LOCAL, 8006, "eth0"),
        ("tcp", "*", 8002, None),
        ("tcp", "::", 8003, None),
        ("tcp", "::1", 8004, None),
    }
    assert {(s.pid, s.process) for s in sockets} == {(14, "python3")}


def test_one_protocol_has_no_column_for_it() -> None:
    both = parse_sockets((FIXTURES / "tcp_and_udp.txt").read_text())
    assert parse_sockets((FIXTURES / "tcp_only.txt").read_text()) == [s for s in both if s.protocol == "tcp"]


def test_without_privileges_there_is_no_process() -> None:
    sockets = parse_sockets((FIXTURES / "without_processes.txt").read_text())
    assert len(sockets) == 8
    assert {(s.pid, s.process, s.unit) for s in sockets} == {(None, None, None)}


def test_process_name_with_colons() -> None:
    first = parse_sockets((FIXTURES / "ray_head_and_worker.txt").read_text())[0]
    assert first == Socket("tcp", "192.168.100.1", 43405, pid=103, process="ray::RuntimeEnv")


def test_unit_without_process() -> None:
    """A node in a container: root may not look at the processes of others, the kernel tells the control group."""
    sockets = {s.port: s for s in parse_sockets((FIXTURES / "serving_node.txt").read_text()) if s.protocol == "tcp"}
    assert sockets[22].unit == "ssh.service"
    assert sockets[22].process == "sshd"
    assert sockets[6379].unit == "tandem-ray.service"
    assert sockets[6379].process is None
    assert sockets[29400].unit == "tandem-engine@smollm2.service"


def test_ipv4_address_of_an_ipv6_socket() -> None:
    line = "LISTEN 0 4096 [::ffff:192.168.100.1]:6386 *:* cgroup:unreachable:1"
    assert parse_sockets(line) == [Socket("tcp", "192.168.100.1", 6386)]


def test_nothing_listens() -> None:
    assert parse_sockets("") == []


@pytest.mark.parametrize(
    "line", ["LISTEN 0 128 nonsense", "Cannot open nonsense", "tcp LISTEN 0 128 nonsense 0.0.0.0:*"]
)
def test_unreadable_line_is_quoted(line: str) -> None:
    with pytest.raises(SocketsError, match="nonsense"):
        parse_sockets(line)


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/tandem-ray.service\n", "tandem-ray.service"),
        (
            "0::/system.slice/system-tandem\\x2dengine.slice/tandem-engine@smollm2.service\n",
            "tandem-engine@smollm2.service",
        ),
        ("0::/system.slice/docker.service/init\n", "docker.service"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/some.service\n", "some.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        (
            "9:name=systemd:/system.slice/ssh.service\n8:pids:/\n4:memory:/elsewhere/other.service\n0::/\n",
            "ssh.service",
        ),
        ("9:name=systemd:/\n0::/tandem.slice/tandem-ray.service\n", "tandem-ray.service"),
        ("9:name=systemd:/\n0::/\n", None),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_unit(cgroup: str, unit: str | None) -> None:
    assert parse_unit(cgroup) == unit
