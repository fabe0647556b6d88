"""The summary of a verdict."""

from __future__ import annotations

from fabric_observations import A, B, Observed

from tandem.fabric.report import summary_lines


def text(seen: Observed, **more: object) -> str:
    return "\n".join(summary_lines(seen.verdict(**more)))


def test_a_pass_tells_what_was_measured_against_what() -> None:
    found = text(Observed())
    assert found.startswith("link0, strix1 and strix2, roce: PASS\n")
    assert "gate took 18.4 s; its settings allow at most 59 s per pair" in found
    assert "strix1 to strix2: bandwidth 54.4 Gb/s (at least 50.4 Gb/s, ceiling 63.0 Gb/s)" in found
    assert "strix2 to strix1: latency in usec: 2 bytes 4.9 (p99 6.6), 64 bytes" in found
    assert found.endswith("serving on this link is allowed")
    assert "TCP" not in found


def test_tcp_is_told_plainly() -> None:
    assert summary_lines(Observed("tcp").verdict())[1] == "This link carries TCP, no RDMA."


def test_a_failure_tells_cause_and_remedy_first_and_what_is_next() -> None:
    seen = Observed()
    seen.port(B)["state"] = "DOWN"
    seen.runs = []
    lines = summary_lines(seen.verdict())
    assert lines[0].endswith("roce: FAIL")
    assert lines[1] == "cause (port_down): strix2: port 1 of rocep194s0 is DOWN, not ACTIVE"
    assert lines[2].startswith("  what to do: look at 'rdma link show'")
    assert f"{A} to {B}: not measured" in lines
    assert "refused" in lines[-1]
    assert "playbooks/verify.yml" in lines[-1]


def test_what_was_not_judged_is_told_once() -> None:
    seen = Observed()
    for run in seen.runs:
        if run["test"] == "send_lat":
            run["client_result"]["results"][0]["latency_p99_usec"] = None
    for node in (A, B):
        seen.ends[node]["interface"]["speed_gbit_per_s"] = None
        seen.port(node)["rate_gbit_per_s"] = None
    lines = summary_lines(seen.verdict())
    assert [line for line in lines if "latency_p99" in line] == [
        f"note: latency_p99 ({client} to {server}): not printed: this perftest is too old for it"
        for client, server in ((A, B), (B, A))
    ]
    assert f"{A} to {B}: bandwidth 54.4 Gb/s (no threshold, as the rate of the link is unknown)" in lines
    assert any("link unknown, PCIe 63.0 Gb/s, so at most unknown" in line for line in lines)


def test_a_warning_is_told() -> None:
    seen = Observed()
    seen.settings["pcie_must_be_full"] = False
    seen.ends[B]["device"]["pcie"].update(width=2, ceiling_gbit_per_s=63.015)
    lines = summary_lines(seen.verdict())
    assert lines[0].endswith("PASS with warnings")
    assert lines[1].startswith("cause (pcie_degraded)")
