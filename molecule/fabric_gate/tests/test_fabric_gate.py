"""The verdict on each node, as the supervisor of an engine reads it."""

import json

import pytest

VERDICT = "/var/lib/tandem/fabric/link0--node1--node2.json"


@pytest.fixture
def verdict(host):
    return json.loads(host.file(VERDICT).content_string)


def test_the_engine_can_read_the_verdict_and_only_root_can_write_it(host):
    file = host.file(VERDICT)
    assert (file.user, file.mode) == ("root", 0o644)
    assert host.run(f"runuser -u tandem -- test -r {VERDICT}").rc == 0
    assert host.run(f"runuser -u tandem -- test -w {VERDICT}").rc != 0


def test_the_gate_passed_in_both_directions(verdict):
    assert (verdict["transport"], verdict["verdict"], verdict["serving_allowed"]) == ("tcp", "pass", True)
    directions = {(point["client"], point["server"]) for point in verdict["series"]}
    assert directions == {("node1", "node2"), ("node2", "node1")}


def test_the_figures_are_measured(verdict):
    for point in verdict["series"]:
        value = point["bandwidth_avg_gbit_per_s" if point["test"] == "tcp_bw" else "latency_typical_usec"]
        assert value > 0


def test_the_time_is_told_and_kept(verdict):
    assert 0 < verdict["duration_s"] < verdict["time_limit_s"]


def test_nothing_of_a_measurement_is_left(host):
    assert host.run("pgrep -x iperf3").rc == 1
