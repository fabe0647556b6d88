"""Each fault, as the modules tell it, and the cause that the verdict must name."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from fabric_observations import A, B, Observed, codes, failed, passed, pcie, ping, results
from hypothesis import given
from hypothesis import strategies as st

BROKEN = {"failed": True, "msg": "MODULE FAILURE"}
NOBODY = failed("timeout", "connect", "no client came to control port 18515")


def no_device(seen: Observed) -> None:
    seen.ends[B].update(device=None, rdma_error="no RDMA device is on enp194s0np0; found: none")
    seen.runs = []


def no_device_and_no_word(seen: Observed) -> None:
    seen.ends[B].update(device=None)
    seen.runs = []


def on_another_netdev(seen: Observed) -> None:
    seen.ends[B].update(device=None, rdma_error="no RDMA device is on enp194s0np0; found: rocep1s0 (enp1s0)")
    seen.runs = []


def on_another_netdev_as_found(seen: Observed) -> None:
    seen.port(B)["netdev"] = "enp1s0"


def infiniband(seen: Observed) -> None:
    seen.port(B)["link_layer"] = "InfiniBand"


def tool_missing(seen: Observed) -> None:
    seen.ends[B].update(device=None, rdma_error="ibv_devinfo is not installed. Install rdma-core's tools")
    seen.runs = []


def unreadable(seen: Observed) -> None:
    seen.ends[B].update(device=None, rdma_error="ibv_devinfo -v printed something that is not understood: hca")
    seen.runs = []


def denied(seen: Observed) -> None:
    seen.ends[B].update(
        device=None, rdma_error="ibv_devinfo -v failed with status 1: Failed to open device: Permission denied"
    )
    seen.runs = []


def switched_off(seen: Observed) -> None:
    seen.ends[B]["interface"].update(operational_state="down", carrier=None)
    seen.port(B).update(state="DOWN", active_mtu_bytes=1024, gids=[], roce_v2_ipv4_gid_index=None)
    seen.ends[A]["interface"].update(operational_state="down", carrier=False)
    seen.port(A)["state"] = "DOWN"
    seen.silent()


def no_cable(seen: Observed) -> None:
    for node in (A, B):
        seen.ends[node]["interface"].update(operational_state="down", carrier=False)
        seen.port(node)["state"] = "DOWN"
    seen.silent()


def no_interface(seen: Observed) -> None:
    seen.ends[B]["interface"].update(exists=False, operational_state=None, carrier=None, mtu_bytes=None)
    seen.silent()


def port_down(seen: Observed) -> None:
    seen.port(B)["state"] = "DOWN"
    seen.runs = []


def mtu_of_one(seen: Observed) -> None:
    seen.ends[B]["interface"]["mtu_bytes"] = 1500
    seen.port(B)["active_mtu_bytes"] = 1024
    seen.pings = [ping(p["client"], p["server"], p["frame_bytes"], lost=p["frame_bytes"] == 9000) for p in seen.pings]
    seen.fail("send_lat", 4096, failed("timeout", "exchange"))


def mtu_of_both(seen: Observed) -> None:
    for node in (A, B):
        seen.ends[node]["interface"]["mtu_bytes"] = 1500
        seen.port(node)["active_mtu_bytes"] = 1024


def mtu_too_large_at_one(seen: Observed) -> None:
    seen.ends[B]["interface"]["mtu_bytes"] = 9216


def full_frames(seen: Observed) -> None:
    seen.pings = [ping(p["client"], p["server"], p["frame_bytes"], lost=p["frame_bytes"] == 9000) for p in seen.pings]
    seen.fail("send_lat", 4096, failed("timeout", "exchange"))


def some_frames(seen: Observed) -> None:
    lossy = "3 packets transmitted, 2 received, 33.3333% packet loss, time 402ms"
    # ping says so by its exit status as well.
    seen.pings[1].update(stdout=lossy, rc=1)


def large_packets(seen: Observed) -> None:
    seen.fail("send_lat", 4096, failed("timeout", "exchange"), NOBODY | {"phase": "exchange"})


def peer_silent(seen: Observed) -> None:
    seen.silent()


def icmp_dropped(seen: Observed) -> None:
    runs = seen.runs
    seen.silent()
    seen.runs = runs


def udp_dropped(seen: Observed) -> None:
    # The server sees its client go.
    seen.fail("send_lat", 2, failed("timeout", "exchange"), failed("peer_lost", "exchange", "broke off"))


def control_port_dropped(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("timeout", "connect"), NOBODY)


def not_listening(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("connection_refused", "connect"), None)


def control_port_taken(seen: Observed) -> None:
    taken = failed("connection_refused", "start", "control port 18515 is taken on this node")
    seen.fail("send_lat", 2, failed("connection_refused", "connect"), taken)


def server_without_tool(seen: Observed) -> None:
    missing = failed("missing_tool", "start", "ib_send_lat is not on the path")
    seen.fail("send_lat", 2, failed("connection_refused", "connect"), missing, clients=(A,))


def server_crashed(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("connection_refused", "connect"), BROKEN, clients=(A,))


def server_memlock(seen: Observed) -> None:
    memlock = failed("memlock", "start", "memory could not be locked")
    seen.fail("send_lat", 2, failed("peer_lost", "connect"), memlock, clients=(A,))


def server_killed(seen: Observed) -> None:
    killed = failed("peer_lost", "exchange", "this end was ended by signal 9 from outside", returncode=137)
    seen.fail("write_bw", 65536, failed("timeout", "exchange"), killed, clients=(A,))


def server_killed_as_seen_by_the_client(seen: Observed) -> None:
    seen.fail("write_bw", 65536, failed("peer_lost", "exchange", "broke off"), BROKEN, clients=(A,))


def server_module_killed(seen: Observed) -> None:
    # As registered under failed_when: false.
    seen.fail("send_lat", 2, failed("timeout", "exchange"), BROKEN | {"failed": False}, clients=(A,))


def client_killed(seen: Observed) -> None:
    killed = failed("peer_lost", "exchange", "this end was ended by signal 15 from outside", returncode=-15)
    seen.fail("send_lat", 2, killed, failed("peer_lost", "exchange", "broke off"), clients=(A,))


def node_lost_mid_run(seen: Observed) -> None:
    seen.fail("write_bw", 65536, failed("peer_lost", "exchange"), {"unreachable": True, "msg": "ssh: timed out"}, (A,))


def node_lost_before(seen: Observed) -> None:
    seen.ends[B] = None
    seen.ends[A]["interface"].update(operational_state="down", carrier=False)
    seen.port(A)["state"] = "DOWN"
    seen.silent()


def pinned_out_of_range(seen: Observed) -> None:
    seen.ends[B]["gid_index_pinned"] = 7
    seen.fail("send_lat", 2, failed("gid_out_of_range", "start"), clients=(B,))


def pinned_link_local(seen: Observed) -> None:
    seen.ends[B]["gid_index_pinned"] = 0
    seen.fail("send_lat", 2, failed("gid_mismatch", "exchange"))


def gid_of_another_address(seen: Observed) -> None:
    seen.port(B)["gids"][1]["gid"] = "::ffff:10.0.0.9"
    seen.fail("send_lat", 2, failed("timeout", "exchange"))


def gid_of_another_type(seen: Observed) -> None:
    seen.port(B)["gids"][1]["type"] = "RoCE v1"
    seen.port(B)["roce_v2_ipv4_gid_index"] = None
    seen.fail("send_lat", 2, failed("gid_mismatch", "exchange"))


def no_gid(seen: Observed) -> None:
    del seen.port(B)["gids"][1]
    seen.port(B)["roce_v2_ipv4_gid_index"] = None
    seen.runs = []


def gid_mismatch_alone(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("gid_mismatch", "exchange"))


def active_mtu(seen: Observed) -> None:
    seen.port(B)["active_mtu_bytes"] = 1024
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=30.0)


def active_mtu_unknown(seen: Observed) -> None:
    seen.port(B)["active_mtu_bytes"] = None


def no_pause(seen: Observed) -> None:
    seen.ends[B]["interface"]["pause"].update(rx=False)


def pause_not_negotiated(seen: Observed) -> None:
    seen.ends[B]["interface"]["pause"].update(autonegotiate=True, negotiated_rx=True, negotiated_tx=False)


def pause_unknown(seen: Observed) -> None:
    seen.ends[B]["interface"]["pause"] = None


def riser(seen: Observed) -> None:
    seen.ends[B]["device"]["pcie"] = pcie(8.0, 1, 7.877)
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=7.1)


def riser_too_slow_to_end(seen: Observed) -> None:
    seen.ends[B]["device"]["pcie"] = pcie(2.5, 1, 2.0)
    seen.fail("write_bw", 1048576, failed("timeout", "exchange"), failed("peer_lost", "exchange"))


def riser_above_the_card(seen: Observed) -> None:
    seen.ends[B]["device"]["pcie"] = pcie(16.0, 2, 31.508)


def slow(seen: Observed) -> None:
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=50.3)


def stalled(seen: Observed) -> None:
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=0.0)


def late(seen: Observed) -> None:
    seen.measure(A, "send_lat", 64, latency_typical_usec=15.1, latency_p99_usec=80.0)


def jitter(seen: Observed) -> None:
    seen.measure(A, "send_lat", 64, latency_p99_usec=50.1)


def versions(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("version_mismatch", "exchange"), failed("unparsable", "exchange"))


def unparsable(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("unparsable", "exchange", "it said 'ouch'"), clients=(A,))


def module_crashed(seen: Observed) -> None:
    seen.fail("send_lat", 2, BROKEN, None, clients=(A,))


def hung_at_start(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("timeout", "start"), clients=(A,))


def nothing_measured(seen: Observed) -> None:
    empty = passed("send_lat", 2, 5.0, 1000) | {"results": []}
    seen.fail("send_lat", 2, empty, empty, clients=(A,))


def never_run(seen: Observed) -> None:
    seen.runs = []


def never_pinged_nor_run(seen: Observed) -> None:
    seen.runs, seen.pings = [], []


def last_run_missing(seen: Observed) -> None:
    seen.runs.remove(seen.run(A, "write_bw", 1048576))


def one_way_only(seen: Observed) -> None:
    seen.fail("send_lat", 2, failed("timeout", "connect"), NOBODY, clients=(B,))


#: The fault, all codes that are told (the root first), the node of the root, and what its message and remedy must say.
FAULTS: list[tuple[Callable[[Observed], None], list[str], str | None, str, str]] = [
    (no_device, ["no_device"], B, "no RDMA device is on enp194s0np0", "lspci"),
    (no_device_and_no_word, ["no_device"], B, "no RDMA device is on enp194s0np0", "rdma link show"),
    (on_another_netdev, ["no_device"], B, r"rocep1s0 \(enp1s0\)", "link_links"),
    (
        on_another_netdev_as_found,
        ["no_device"],
        B,
        "rocep194s0 is on enp1s0, but link0 is on enp194s0np0",
        "link_links",
    ),
    (infiniband, ["no_device"], B, "link layer InfiniBand", "Ethernet"),
    (tool_missing, ["missing_tool"], B, "ibv_devinfo is not installed", "ibverbs-utils"),
    (unreadable, ["device_unreadable"], B, "not understood", "ibv_devinfo -v"),
    (denied, ["permission"], B, "Permission denied", "ibv_devinfo -v"),
    (
        switched_off,
        ["link_down"],
        B,
        "enp194s0np0 is switched off.*rocep194s0 port 1 is DOWN",
        "nmcli connection up link0",
    ),
    (no_cable, ["link_down", "link_down"], A, "has no signal", "ethtool -m enp194s0np0"),
    (no_interface, ["link_down"], B, "there is no interface enp194s0np0", "ip -br link"),
    (port_down, ["port_down"], B, "port 1 of rocep194s0 is DOWN, not ACTIVE", "rdma link show"),
    (mtu_of_one, ["mtu_mismatch"], B, "wants MTU 9000, .*MTU 9000 .*strix1.*MTU 1500 .*strix2", "nmcli .*mtu 9000"),
    (mtu_of_both, ["mtu_mismatch"], None, "MTU 1500 .*strix1 .*MTU 1500 .*strix2", "on strix1 and strix2"),
    (mtu_too_large_at_one, ["mtu_mismatch"], B, "MTU 9216", "nmcli"),
    (full_frames, ["full_frames_lost"], None, "9000 bytes do not arrive although small ones do", "nft list ruleset"),
    (some_frames, ["full_frames_lost"], None, "33.3333 % of the frames", "ethtool -S"),
    (large_packets, ["large_packets_lost"], None, "up to 512 bytes pass, those of 4096 bytes never", "ip -d link"),
    (
        peer_silent,
        ["peer_unreachable"],
        None,
        "no ping is answered, neither small nor full.*100% packet loss",
        "ip neigh",
    ),
    (icmp_dropped, ["full_frames_lost"], None, "no ping is answered although measurements pass", "ICMP"),
    (udp_dropped, ["rocev2_blocked"], None, "UDP port 4791", "nft list ruleset"),
    (control_port_dropped, ["control_port_blocked", "control_port_blocked"], B, "TCP port 18515", "nft list ruleset"),
    (not_listening, ["peer_not_listening", "peer_not_listening"], B, "control port 18515$", "nft list ruleset"),
    (control_port_taken, ["peer_not_listening"] * 2, B, "its server says.*18515 is taken", "ss -ltnp sport = :18515"),
    (server_without_tool, ["missing_tool"], B, "not on the path", "install perftest on strix2"),
    (server_crashed, ["peer_not_listening"], B, "its server says: MODULE FAILURE", "by hand on strix2"),
    (server_memlock, ["memlock"], B, "could not be locked", "LimitMEMLOCK"),
    (server_killed, ["peer_lost"], B, "strix2 was lost; strix2 says: .*signal 9", "journalctl -k"),
    (server_killed_as_seen_by_the_client, ["peer_lost"], B, "strix2 was lost", "journalctl -k"),
    (server_module_killed, ["peer_lost"], B, "strix2 says: MODULE FAILURE", "journalctl -k"),
    (client_killed, ["peer_lost"], A, "strix1 was lost; strix1 says: .*signal 15", "journalctl -k"),
    (node_lost_mid_run, ["peer_unreachable"], B, "strix2 could not be reached any more.*ssh: timed out", "answers ssh"),
    (node_lost_before, ["peer_unreachable"], B, "strix2 could not be looked at", "ansible -m ping strix2"),
    (
        pinned_out_of_range,
        ["wrong_gid"],
        B,
        "rdma_gid_index 7 of rocep194s0 does not exist.*GIDs: 0 fe80",
        "set it to 1",
    ),
    (pinned_link_local, ["wrong_gid"], B, "rdma_gid_index 0 .* is fe80", "remove rdma_gid_index of strix2"),
    (gid_of_another_address, ["wrong_gid"], B, "1 10.0.0.9 .*but link0 has 192.168.100.2", "ip -br address"),
    (gid_of_another_type, ["wrong_gid"], B, "RoCE v1 only, not as RoCE v2", "devlink"),
    (no_gid, ["no_gid"], B, "no RoCE v2 GID of 192.168.100.2; GIDs: 0 fe80", "ip -br address"),
    (gid_mismatch_alone, ["wrong_gid"], None, "send_lat of 2 bytes failed", "rdma_gid_index"),
    (active_mtu, ["active_mtu_low", "bandwidth_low"], B, "active MTU of rocep194s0 is 1024, not 4096", "ip -d link"),
    (active_mtu_unknown, ["unmeasured"], B, "does not tell its active MTU", "ibv_devinfo"),
    (
        no_pause,
        ["no_flow_control"],
        B,
        r"flow control of enp194s0np0 is off \(rx\)",
        "ethtool -A enp194s0np0 rx on tx on",
    ),
    (pause_not_negotiated, ["no_flow_control"], B, r"not negotiated \(tx\)", "ethtool -a enp194s0np0"),
    (pause_unknown, ["no_flow_control"], B, "does not tell whether flow control", "fabric_gate_flow_control_required"),
    (
        riser,
        ["pcie_degraded"],
        B,
        "trained at Gen3 x1: 7.9 of 63.0 Gb/s; reseat the riser",
        "lspci -vv -s 0000:c2:00.0",
    ),
    (riser_too_slow_to_end, ["pcie_degraded", "bandwidth_low", "bandwidth_low"], B, "Gen1 x1: 2.0 of 63.0", "riser"),
    (riser_above_the_card, ["pcie_degraded"], B, "Gen4 x2: 31.5 of 63.0", "riser"),
    (
        slow,
        ["bandwidth_low"],
        None,
        r"50.3 Gb/s .*wanted are 50.4 \(80 % of 63.0 Gb/s, set by PCIe of strix1\)",
        "ethtool -S",
    ),
    (stalled, ["bandwidth_low"], None, "0.0 Gb/s", "ethtool -S"),
    (late, ["latency_high"], None, "typical latency of 64 bytes is 15.1 usec, allowed are 15 usec", "ethtool -c"),
    (
        jitter,
        ["latency_high"],
        None,
        r"50.1 usec, allowed are 50 usec.*good \(5.0 usec\): jitter",
        "C-states.*irqbalance",
    ),
    (versions, ["version_mismatch"], None, "version_mismatch", "same version of perftest on strix1 and strix2"),
    (unparsable, ["unreadable_result"], A, "it said 'ouch'", "Do something"),
    (module_crashed, ["unreadable_result"], A, "MODULE FAILURE", "by hand on strix1"),
    (hung_at_start, ["unreadable_result"], A, "hung on strix1", "dmesg"),
    (nothing_measured, ["unmeasured"], None, "measured nothing", "by hand"),
    (never_run, ["unmeasured", "unmeasured"], None, "no result of send_lat of 2 bytes", "verify.yml"),
    (never_pinged_nor_run, ["unmeasured", "unmeasured"], None, "no result of send_lat of 2 bytes", "verify.yml"),
    (last_run_missing, ["unmeasured"], None, "no result of write_bw of 1048576 bytes", "verify.yml"),
    (one_way_only, ["control_port_blocked"], A, r"strix2 to strix1 \(192.168.100.1\): TCP port 18515", "on strix1"),
]


@pytest.mark.parametrize(("fault", "told", "node", "message", "remedy"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_the_verdict_names_the_fault(
    fault: Callable[[Observed], None], told: list[str], node: str | None, message: str, remedy: str
) -> None:
    seen = Observed()
    fault(seen)
    found = seen.verdict()
    assert codes(found) == told
    assert found["verdict"] == ("warn" if fault is some_frames else "fail")
    assert found["serving_allowed"] is (fault is some_frames)
    assert found["cause"]["node"] == node
    assert re.search(message, found["cause"]["message"])
    assert re.search(remedy, found["cause"]["remedy"])
    for cause in found["causes"]:
        # Every message names a node and is a single line.
        assert re.search(f"{A}|{B}", cause["message"])
        assert "\n" not in cause["message"] + cause["remedy"]
    assert (found["baseline"] is None) is (fault is not some_frames)


@given(st.lists(st.sampled_from([fault[0] for fault in FAULTS]), min_size=2, max_size=4, unique=True))
def test_faults_together_never_confuse_it(faults: list[Callable[[Observed], None]]) -> None:
    """Whatever is put together: the document keeps to its schema, names a cause for each failure and does not pass."""
    seen = Observed()
    for fault in faults:
        # A fault that needs a run or a port which another one took away changes nothing.
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
            fault(seen)
    found = seen.verdict()
    assert found["verdict"] == "fail"
    # One cause is told once.
    assert len({cause["message"] for cause in found["causes"]}) == len(found["causes"])


def test_a_healthy_pair_passes() -> None:
    found = Observed().verdict()
    assert found["verdict"] == "pass"
    assert {check["result"] for check in found["checks"]} == {"pass"}
    assert {check["name"] for check in found["checks"]} == {
        "link_up", "mtu_end_to_end", "rdma_device", "port_state", "gid", "active_mtu", "flow_control", "pcie",
        "exchange", "latency_typical", "latency_p99", "bandwidth",
    }  # fmt: skip
    assert len(found["series"]) == 14


def test_each_direction_is_judged_for_itself() -> None:
    seen = Observed()
    one_way_only(seen)
    found = seen.verdict()
    assert results(found, "exchange") == ["pass", "fail"]
    assert [c["result"] for c in found["checks"] if c["name"] == "latency_typical" and c["client"] == A] == ["pass"] * 4
    skipped = [check for check in found["checks"] if check["name"] == "bandwidth" and check["client"] == B]
    assert [(check["result"], check["measured"]) for check in skipped] == [("skipped", None)]


def test_what_passed_before_a_failure_is_kept() -> None:
    seen = Observed()
    large_packets(seen)
    found = seen.verdict()
    assert [point["message_size_bytes"] for point in found["series"]] == [2, 64, 512] * 2
    assert [c["result"] for c in found["checks"] if c["name"] == "latency_p99" and c["client"] == A] == [
        "pass", "pass", "pass", "skipped",
    ]  # fmt: skip
    [failing] = {check["message_size_bytes"] for check in found["checks"] if check["name"] == "exchange"}
    assert failing == 4096


def test_two_faults_are_both_told() -> None:
    seen = Observed()
    udp_dropped(seen)
    seen.ends[A]["interface"]["pause"] = None
    assert codes(seen.verdict()) == ["rocev2_blocked", "no_flow_control"]


def test_low_bandwidth_names_what_explains_it() -> None:
    seen = Observed()
    active_mtu(seen)
    assert "explained by active_mtu_low on strix2" in seen.verdict()["causes"][1]["message"]


def test_a_run_that_never_ends_on_a_slow_way_is_no_loss() -> None:
    seen = Observed()
    riser_too_slow_to_end(seen)
    words = seen.verdict()["causes"][1]["message"]
    assert "although packets of that size pass" in words
    assert "explained by pcie_degraded on strix2" in words


def test_a_server_that_complains_after_its_client_is_done_is_not_heard() -> None:
    seen = Observed()
    seen.run(A, "send_lat", 2)["server_result"] = failed("peer_lost", "exchange")
    assert seen.verdict()["verdict"] == "pass"


def test_a_result_of_the_server_counts_where_the_client_has_none() -> None:
    seen = Observed()
    seen.run(A, "send_lat", 2)["client_result"]["results"] = []
    assert seen.verdict()["verdict"] == "pass"


def test_an_old_perftest_prints_no_percentiles() -> None:
    seen = Observed()
    for run in seen.runs:
        if run["test"] == "send_lat":
            run["client_result"]["results"][0]["latency_p99_usec"] = None
    found = seen.verdict()
    assert found["verdict"] == "pass"
    assert set(results(found, "latency_p99")) == {"skipped"}
    assert "perftest is too old" in next(c["note"] for c in found["checks"] if c["name"] == "latency_p99")


def test_a_slot_slower_than_the_link_is_no_fault() -> None:
    found = Observed().verdict()
    assert found["ceilings"][A] == {
        "link_gbit_per_s": 100.0, "pcie_gbit_per_s": 63.015, "gbit_per_s": 63.015, "limited_by": "pcie",
    }  # fmt: skip
    [note] = {check["note"] for check in found["checks"] if check["name"] == "pcie"}
    assert "63.0 of the link's 100.0 Gb/s" in note


def test_the_slower_end_sets_the_ceiling() -> None:
    seen = Observed()
    seen.ends[B]["device"]["pcie"] = None
    seen.ends[B]["interface"].update(pcie=None, speed_gbit_per_s=25.0)
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=20.1)
    seen.measure(B, "write_bw", 1048576, bandwidth_avg_gbit_per_s=19.9)
    found = seen.verdict()
    assert results(found, "bandwidth") == ["pass", "fail"]
    assert "80 % of 25.0 Gb/s, set by the link" in found["cause"]["message"]


def no_speed(seen: Observed) -> None:
    for node in (A, B):
        seen.ends[node]["interface"]["speed_gbit_per_s"] = None
        seen.port(node)["rate_gbit_per_s"] = None


def test_without_the_rate_of_the_link_bandwidth_has_no_ceiling() -> None:
    seen = Observed()
    no_speed(seen)
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=0.1)
    found = seen.verdict()
    assert found["verdict"] == "pass"
    bandwidth = [check for check in found["checks"] if check["name"] == "bandwidth"]
    assert [(c["result"], c["measured"], c["ceiling"]) for c in bandwidth] == [
        ("skipped", 0.1, None), ("skipped", 53.87, None),
    ]  # fmt: skip
    assert "baseline only" in bandwidth[0]["note"]
    assert found["ceilings"][A]["gbit_per_s"] is None


def test_its_baseline_still_judges_it() -> None:
    former, seen = Observed().verdict(), Observed()
    no_speed(seen)
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=0.1)
    assert codes(seen.verdict(former=former)) == ["regression"]


@pytest.mark.parametrize("vendor_id", ["0xffffff", "0x626d74"])
def test_an_emulated_device_needs_no_flow_control_and_its_rate_is_made_up(vendor_id: str) -> None:
    seen = Observed()
    no_speed(seen)
    for node in (A, B):
        seen.ends[node]["interface"]["pause"] = None
        seen.ends[node]["device"]["vendor_id"] = vendor_id
        seen.port(node)["rate_gbit_per_s"] = 2.5
    found = seen.verdict()
    assert found["verdict"] == "pass"
    assert set(results(found, "flow_control")) == {"skipped"}
    assert found["ceilings"][A]["link_gbit_per_s"] is None


def test_what_is_not_required_does_not_fail() -> None:
    seen = Observed()
    no_pause(seen)
    seen.settings["flow_control_required"] = False
    found = seen.verdict()
    assert found["verdict"] == "pass"
    assert results(found, "flow_control") == ["skipped", "skipped"]
    riser(seen)
    seen.settings["pcie_must_be_full"] = False
    found = seen.verdict()
    assert (found["verdict"], codes(found), found["serving_allowed"]) == ("warn", ["pcie_degraded"], True)


@pytest.mark.parametrize(
    ("state", "carrier", "up"),
    [("up", None, True), ("unknown", True, True), ("unknown", None, True), ("up", False, False)],
)
def test_interfaces_that_do_not_tell_everything(state: str, carrier: bool | None, up: bool) -> None:
    seen = Observed()
    seen.ends[B]["interface"].update(operational_state=state, carrier=carrier)
    assert results(seen.verdict(), "link_up") == ["pass", "pass" if up else "fail"]


@pytest.mark.parametrize(("mtu", "active"), [(1500, 1024), (4096, 2048), (4200, 4096), (9000, 4096)])
def test_the_mtu_of_the_link_sets_that_of_rdma(mtu: int, active: int) -> None:
    seen = Observed(mtu_bytes=mtu)
    for node in (A, B):
        seen.ends[node]["interface"]["mtu_bytes"] = mtu
        seen.port(node)["active_mtu_bytes"] = active
    assert seen.verdict()["verdict"] == "pass"
    seen.port(B)["active_mtu_bytes"] = active // 2
    assert codes(seen.verdict()) == ["active_mtu_low"]


def test_a_pinned_gid_that_is_right_passes() -> None:
    seen = Observed()
    seen.ends[B]["gid_index_pinned"] = 1
    assert seen.verdict()["verdict"] == "pass"


def test_the_gid_of_the_links_address_is_used_where_there_are_several() -> None:
    seen = Observed()
    other = {"index": 1, "gid": "::ffff:10.0.0.9", "type": "RoCE v2", "netdev": "enp194s0np0"}
    seen.port(B)["gids"] = [other, seen.port(B)["gids"][1] | {"index": 2}]
    found = seen.verdict()
    assert found["verdict"] == "pass"
    assert [c["measured"][0] for c in found["checks"] if c["name"] == "gid"] == ["1", "2"]


def test_a_threshold_of_nothing_is_no_threshold() -> None:
    seen = Observed()
    seen.settings.update(roce_latency_typical_max_usec=0, roce_latency_p99_max_usec=0, roce_bandwidth_min_percent=0)
    late(seen)
    seen.measure(A, "write_bw", 1048576, bandwidth_avg_gbit_per_s=0.01)
    found = seen.verdict()
    assert found["verdict"] == "pass"
    assert set(results(found, "latency_typical")) == {"skipped"}


class TestTcp:
    def test_a_healthy_pair_passes_without_a_word_of_rdma(self) -> None:
        found = Observed("tcp").verdict()
        assert found["verdict"] == "pass"
        names = {check["name"] for check in found["checks"]}
        assert names.isdisjoint({"rdma_device", "port_state", "gid", "active_mtu", "flow_control"})

    @pytest.mark.parametrize(
        ("run", "client", "server", "code", "message"),
        [
            (("tcp_lat", 64), failed("timeout", "exchange"), None, "peer_unreachable", "nothing comes back"),
            (("tcp_bw", 131072), failed("timeout", "connect"), NOBODY, "control_port_blocked", "TCP port 5201"),
            (("tcp_bw", 131072), failed("timeout", "exchange"), None, "large_packets_lost", "up to 4096 bytes pass"),
            (("tcp_bw", 131072), failed("missing_tool", "start"), None, "missing_tool", "missing_tool"),
            (("tcp_bw", 131072), failed("connection_refused", "connect"), None, "peer_not_listening", "port 5201"),
        ],
    )
    def test_its_faults(self, run: tuple[str, int], client: Any, server: Any, code: str, message: str) -> None:
        seen = Observed("tcp")
        seen.fail(*run, client, server, clients=(A,))
        found = seen.verdict()
        assert codes(found) == [code]
        assert message in found["cause"]["message"]

    def test_a_riser_slows_tcp_too(self) -> None:
        seen = Observed("tcp")
        seen.ends[B]["interface"]["pcie"] = pcie(8.0, 1, 7.877)
        assert codes(seen.verdict()) == ["pcie_degraded"]

    def test_it_has_thresholds_of_its_own(self) -> None:
        seen = Observed("tcp")
        seen.measure(A, "tcp_bw", 131072, bandwidth_avg_gbit_per_s=25.3)
        seen.measure(A, "tcp_lat", 64, latency_typical_usec=149.0, latency_p99_usec=999.0)
        assert seen.verdict()["verdict"] == "pass"
        seen.measure(A, "tcp_bw", 131072, bandwidth_avg_gbit_per_s=25.1)
        seen.measure(B, "tcp_lat", 64, latency_typical_usec=151.0)
        assert codes(seen.verdict()) == ["bandwidth_low", "latency_high"]
