"""What a failed verification says."""

from __future__ import annotations

from typing import Any

from tandem.link_verification import failures, report

END = {"name": "link0", "mtu_bytes": 9000}
PEER = {"node": "node2", "address": "192.168.100.2"}
LOST = (
    "PING\n\n--- 192.168.100.2 ping statistics ---\n3 packets transmitted, 0 received, 100% packet loss, time 402ms\n"
)


def ping(**result: Any) -> dict[str, Any]:
    return {"item": [END, PEER], "rc": 0, "stdout": "", "stderr": "", **result}


def test_a_link_that_works_has_no_failures() -> None:
    good = {"item": END, "interface": "eth1", "diff": {"before": "a", "after": "a"}}
    assert failures("node1", [good], [good], [ping()]) == []


def test_what_check_mode_skipped_did_not_fail() -> None:
    good = {"item": END, "interface": "eth1", "diff": {"before": "a", "after": "b"}}
    skipped = {"item": END, "skipped": True}
    assert failures("node1", [good], [skipped], [{"item": [END, PEER], "skipped": True}]) == []


def test_a_module_that_failed_is_quoted() -> None:
    [failure] = failures("node1", [{"item": END, "msg": "no carrier"}], [], [])
    assert failure == {"link": "link0", "what": "node1: no carrier"}


def test_an_end_that_is_not_as_configured_is_told() -> None:
    read = {
        "item": END,
        "interface": "eth1",
        "diff": {"before": "x: 1\ndevice mtu_bytes: 1500\n", "after": "x: 1\ndevice mtu_bytes: 9000\n"},
    }
    [failure] = failures("node1", [], [read], [])
    assert failure["what"] == "node1: the system has device mtu_bytes: 1500 instead of device mtu_bytes: 9000"


def test_lost_frames_name_both_nodes_and_the_mtu() -> None:
    [failure] = failures("node1", [], [], [ping(rc=1, stdout=LOST)])
    assert failure["what"] == (
        "node1 to node2 (192.168.100.2): frames of 9000 bytes do not arrive; "
        "ping says: 3 packets transmitted, 0 received, 100% packet loss, time 402ms"
    )


def test_frames_too_large_for_our_own_device() -> None:
    [failure] = failures("node1", [], [], [ping(rc=1, stderr="ping: local error: message too long, mtu=1500\n" * 2)])
    assert failure["what"].endswith("ping says: ping: local error: message too long, mtu=1500")


def test_a_ping_without_words() -> None:
    [failure] = failures("node1", [], [], [ping(rc=2)])
    assert failure["what"].endswith("nothing (status 2)")


def test_the_report_tells_what_went_back_where() -> None:
    found = [{"link": "link0", "what": "node1 to node2: lost"}, {"link": "link1", "what": "node3: no carrier"}]
    text = report(found, {"node1": ["link0"], "node2": ["link0"], "node3": []})
    assert (
        "Link 'link0' of link_links is broken; it went back to its former profile on node1, node2.\n  node1 to" in text
    )
    assert "Link 'link1' of link_links is broken; its profile was not changed.\n  node3: no carrier" in text
    assert "lower mtu_bytes" in text
