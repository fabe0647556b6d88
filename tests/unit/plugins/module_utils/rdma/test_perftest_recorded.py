"""Every recorded output of perftest: what was measured, and why a run failed.

The expected numbers were copied from the recordings column by column, the kinds follow from what their notes say.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict, astuple
from pathlib import Path

import pytest

from plugins.module_utils.rdma.perftest_failures import Ended, judge
from plugins.module_utils.rdma.perftest_output import Unparsable, parse_results, parse_settings
from plugins.module_utils.rdma.perftest_request import Request

FIXTURES = Path(__file__).parents[4] / "fixtures" / "rdma"
MEBIBYTES = 8 * 1048576 / 1e9
GIGABITS = 1.0

#: Number of rows; the last one: size, iterations, min, max, typical, avg, stdev, p99, p99.9.
LATENCIES = [
    ("fail/gid_both_x2.client", 1, (2, 100, 137.9, 9450.5, 575.03, 1471.78, 2123.74, 9450.5, 9450.5)),
    ("fail/gid_both_x2.server", 1, (2, 100, 137.64, 8380.75, 538.68, 1395.56, 1918.14, 8380.75, 8380.75)),
    ("fail/mtu_blackhole_s2_passes.client", 1, (2, 100, 138.09, 6013.2, 175.38, 312.66, 548.63, 6013.2, 6013.2)),
    ("fail/mtu_blackhole_s2_passes.server", 1, (2, 100, 124.2, 4909.4, 177.95, 271.9, 293.45, 4909.4, 4909.4)),
    ("probe/read_lat.client", 1, (2, 500, 139.13, 4404.95, 225.56, 328.29, 423.2, 2877.5, 4404.95)),
    ("probe/read_lat.server", 0, ()),
    ("probe/send_lat_F_x1.client", 1, (2, 1000, 131.85, 20632.15, 238.78, 1565.51, 2793.09, 14894.77, 20632.15)),
    ("probe/send_lat_F_x1.server", 1, (2, 1000, 144.52, 20637.92, 232.93, 1563.35, 2799.26, 13993.69, 20637.92)),
    ("probe/send_lat_R.client", 1, (2, 1000, 121.2, 8724.54, 169.16, 411.01, 756.33, 4482.81, 8724.54)),
    ("probe/send_lat_R.server", 1, (2, 1000, 121.7, 7186.53, 169.37, 406.02, 701.77, 4493.08, 7186.53)),
    ("probe/send_lat_R_x1.client", 1, (2, 1000, 119.27, 20000.64, 170.11, 1124.5, 2803.87, 13906.52, 20000.64)),
    ("probe/send_lat_R_x1.server", 1, (2, 1000, 124.82, 20373.97, 170.06, 1126.52, 2829.54, 13791.07, 20373.97)),
    (
        "probe/send_lat_a_json.client",
        23,
        (8388608, 20, 221012.96, 292681.89, 253537.8, 255896.25, 16036.4, 292681.89, 292681.89),
    ),
    (
        "probe/send_lat_a_json.server",
        23,
        (8388608, 20, 231745.91, 317120.08, 253333.89, 256594.55, 11093.38, 317120.08, 317120.08),
    ),
    ("probe/send_lat_default.client", 1, (2, 1000, 131.39, 14205.36, 187.4, 750.62, 1484.6, 7900.1, 14205.36)),
    ("probe/send_lat_default.server", 1, (2, 1000, 131.47, 15539.36, 188.55, 744.42, 1477.91, 8034.73, 15539.36)),
    ("probe/send_lat_json.client", 1, (2, 1000, 118.83, 16960.78, 184.51, 619.76, 1136.5, 6039.12, 16960.78)),
    ("probe/send_lat_json.server", 1, (2, 1000, 125.4, 7760.39, 181.53, 612.99, 1121.86, 6085.27, 7760.39)),
    ("probe/send_lat_output_latency.client", 1, (None, None, None, None, None, 507.992461, None, None, None)),
    ("probe/send_lat_output_latency.server", 1, (None, None, None, None, None, 506.820264, None, None, None)),
    ("probe/send_lat_s2_n1000.client", 1, (2, 1000, 129.17, 9264.31, 166.64, 355.29, 670.04, 4145.94, 9264.31)),
    ("probe/send_lat_s2_n1000.server", 1, (2, 1000, 125.4, 8914.51, 166.62, 354.53, 660.4, 4095.96, 8914.51)),
    ("probe/write_lat.client", 1, (2, 1000, 122.84, 3706.49, 181.86, 311.12, 375.17, 2019.68, 3706.49)),
    ("probe/write_lat.server", 1, (2, 1000, 122.72, 3953.75, 179.93, 312.91, 384.41, 2092.97, 3953.75)),
    ("probe/write_lat_R.client", 1, (2, 1000, 127.54, 7968.81, 177.71, 402.65, 584.94, 2984.34, 7968.81)),
    ("probe/write_lat_R.server", 1, (2, 1000, 127.26, 23590.08, 177.05, 409.31, 608.79, 3004.56, 23590.08)),
]
#: Unit; number of rows; the last one: size, iterations, peak, average, message rate.
BANDWIDTHS = [
    ("fail/mtu_mismatch_9000_vs_1500.client", MEBIBYTES, 1, (65536, 100, 5.82, 3.28, 5.2e-05)),
    ("fail/mtu_mismatch_9000_vs_1500.server", MEBIBYTES, 1, (65536, 100, 5.82, 3.28, 5.2e-05)),
    ("fail/mtu_mismatch_m1024_m2048.client", MEBIBYTES, 1, (65536, 100, 4.08, 1.79, 2.9e-05)),
    ("fail/mtu_mismatch_m1024_m2048.server", MEBIBYTES, 1, (65536, 100, 4.08, 1.79, 2.9e-05)),
    ("fail/mtu_mismatch_m4096.client", MEBIBYTES, 1, (65536, 100, 12.76, 4.29, 6.9e-05)),
    ("fail/mtu_mismatch_m4096.server", MEBIBYTES, 1, (65536, 100, 12.76, 4.29, 6.9e-05)),
    ("fail/retry_recovers_write_bw.client", MEBIBYTES, 1, (65536, 3000, 37.46, 14.8, 0.000237)),
    ("fail/retry_recovers_write_bw.server", MEBIBYTES, 1, (65536, 3000, 37.46, 14.8, 0.000237)),
    ("fail_e1000e/carrier_lost_10s_midrun.client", MEBIBYTES, 1, (65536, 5000, 79.17, 21.09, 0.000337)),
    ("fail_e1000e/carrier_lost_10s_midrun.server", MEBIBYTES, 1, (65536, 5000, 79.17, 21.09, 0.000337)),
    ("fail_e1000e/good_after.client", MEBIBYTES, 1, (65536, 500, 94.88, 67.76, 0.001084)),
    ("fail_e1000e/good_after.server", MEBIBYTES, 1, (65536, 500, 94.88, 67.76, 0.001084)),
    ("fail_e1000e/good_after2.client", MEBIBYTES, 1, (65536, 500, 81.63, 78.98, 0.001264)),
    ("fail_e1000e/good_after2.server", MEBIBYTES, 1, (65536, 500, 81.63, 78.98, 0.001264)),
    ("probe/read_bw.client", GIGABITS, 1, (65536, 200, 0.164811, 0.058168, 0.000111)),
    ("probe/read_bw.server", GIGABITS, 1, (65536, 200, 0.164811, 0.058168, 0.000111)),
    ("probe/send_bw.client", GIGABITS, 1, (65536, 200, 0.12, 0.12, 0.000222)),
    ("probe/send_bw.server", GIGABITS, 1, (65536, 200, None, 0.12, 0.000233)),
    ("probe/write_bw_D3.client", GIGABITS, 1, (65536, 1059, None, 0.18, 0.000352)),
    ("probe/write_bw_D3.server", GIGABITS, 1, (65536, 1059, None, 0.18, 0.000352)),
    ("probe/write_bw_R.client", GIGABITS, 1, (65536, 200, 0.127023, 0.061379, 0.000117)),
    ("probe/write_bw_R.server", GIGABITS, 1, (65536, 200, 0.127023, 0.061379, 0.000117)),
    ("probe/write_bw_a_n20.client", MEBIBYTES, 23, (8388608, 20, 25.19, 25.19, 3e-06)),
    ("probe/write_bw_a_n20.server", MEBIBYTES, 1, (8388608, 20, 25.19, 25.19, 3e-06)),
    ("probe/write_bw_a_n20_gbits.client", GIGABITS, 23, (8388608, 20, 0.34, 0.34, 5e-06)),
    ("probe/write_bw_a_n20_gbits.server", GIGABITS, 1, (8388608, 20, 0.34, 0.34, 5e-06)),
    ("probe/write_bw_gbits_json.client", GIGABITS, 1, (65536, 500, 0.41, 0.34, 0.000652)),
    ("probe/write_bw_gbits_json.server", GIGABITS, 1, (65536, 500, 0.41, 0.34, 0.000652)),
    ("probe/write_bw_output_bandwidth.client", GIGABITS, 1, (None, None, None, 0.311898, None)),
    ("probe/write_bw_output_bandwidth.server", GIGABITS, 1, (None, None, None, 0.311898, None)),
    ("probe/write_bw_q4.client", GIGABITS, 1, (65536, 800, 0.21, 0.15, 0.000291)),
    ("probe/write_bw_q4.server", GIGABITS, 1, (65536, 800, 0.21, 0.15, 0.000291)),
    ("probe/write_bw_s65536.client", MEBIBYTES, 1, (65536, 500, 22.47, 17.44, 0.000279)),
    ("probe/write_bw_s65536.server", MEBIBYTES, 1, (65536, 500, 22.47, 17.44, 0.000279)),
    ("probe/write_bw_s65536_gbits.client", GIGABITS, 1, (65536, 500, 0.4, 0.33, 0.000627)),
    ("probe/write_bw_s65536_gbits.server", GIGABITS, 1, (65536, 500, 0.4, 0.33, 0.000627)),
    ("trixie/write_bw_gbits_json.client", GIGABITS, 1, (65536, 500, 0.39, 0.2, 0.00039)),
]
FAILURES = [
    ("fail/client_killed_midrun.client", "unparsable", "start"),
    ("fail/client_killed_midrun.server", "timeout", "exchange"),
    ("fail/client_term_midrun.client", "timeout", "connect"),
    ("fail/client_term_midrun.server", "timeout", "exchange"),
    ("fail/gid_client_wrong_x0.client", "gid_mismatch", "exchange"),
    ("fail/gid_client_wrong_x0.server", "gid_mismatch", "exchange"),
    ("fail/gid_client_wrong_x2.client", "gid_mismatch", "exchange"),
    ("fail/gid_client_wrong_x2.server", "gid_mismatch", "exchange"),
    ("fail/gid_empty_index.client", "gid_out_of_range", "start"),
    ("fail/gid_empty_index.server", "timeout", "connect"),
    ("fail/gid_empty_index_50.client", "gid_mismatch", "exchange"),
    ("fail/gid_empty_index_50.server", "gid_mismatch", "exchange"),
    ("fail/gid_index_64", "timeout", "connect"),
    ("fail/mismatch_R.client", "connection_refused", "connect"),
    ("fail/mismatch_R.server", "timeout", "connect"),
    ("fail/mismatch_R_server.client", "connection_refused", "connect"),
    ("fail/mismatch_R_server.server", "timeout", "connect"),
    ("fail/mismatch_iters.client", "timeout", "exchange"),
    ("fail/mismatch_iters.server", "timeout", "exchange"),
    ("fail/mtu_blackhole_s65536.client", "timeout", "exchange"),
    ("fail/mtu_blackhole_s65536.server", "timeout", "exchange"),
    ("fail/no_rdma_ucm_R", "timeout", "connect"),
    ("fail/nocarrier_send_lat_server", "port_down", "start"),
    ("fail/nodev_send_lat", "no_device", "start"),
    ("fail/nodev_send_lat_R", "no_device", "start"),
    ("fail/nodev_send_lat_d", "no_device", "start"),
    ("fail/nodev_write_bw", "no_device", "start"),
    ("fail/nomod_send_lat", "no_device", "start"),
    ("fail/nomod_send_lat_R", "no_device", "start"),
    ("fail/nomod_send_lat_d", "no_device", "start"),
    ("fail/portdown_peer_client_R", "timeout", "connect"),
    ("fail/portdown_peer_client_timeout", "timeout", "connect"),
    ("fail/portdown_send_lat_server_no_x", "port_down", "start"),
    ("fail/retry_exceeded_status12_R_write_bw.client", "peer_lost", "exchange"),
    ("fail/retry_exceeded_status12_R_write_bw.server", "timeout", "exchange"),
    ("fail/send_lat_R_conn_refused", "connection_refused", "connect"),
    ("fail/send_lat_R_wrong_net", "timeout", "connect"),
    ("fail/send_lat_bad_option", "version_mismatch", "start"),
    ("fail/send_lat_conn_refused", "connection_refused", "connect"),
    ("fail/send_lat_d_nosuch", "unknown_device", "start"),
    ("fail/send_lat_d_nosuch_client", "unknown_device", "start"),
    ("fail/send_lat_i9_badport", "unknown_device", "start"),
    ("fail/send_lat_n_too_small", "unparsable", "start"),
    ("fail/send_lat_unresolvable", "connection_refused", "connect"),
    ("fail/server_no_client_timeout", "timeout", "connect"),
    ("fail/server_no_client_timeout_sigint", "timeout", "connect"),
    ("fail/server_no_client_timeout_stdbuf", "timeout", "connect"),
    ("fail/tcp18515_dropped.client", "timeout", "connect"),
    ("fail/tcp18515_dropped.server", "timeout", "connect"),
    ("fail/udp4791_dropped_write_bw.client", "timeout", "exchange"),
    ("fail/udp4791_dropped_write_bw.server", "timeout", "exchange"),
    ("fail/write_bw_conn_refused", "connection_refused", "connect"),
    ("fail/write_bw_d_nosuch", "unknown_device", "start"),
    ("fail_e1000e/rxe_deleted_midrun.client", "timeout", "exchange"),
    ("fail_e1000e/rxe_deleted_midrun.server", "peer_lost", "exchange"),
    ("fail_e1000e/udp4791_dropped.client", "timeout", "exchange"),
    ("fail_e1000e/udp4791_dropped.server", "timeout", "exchange"),
    ("fail_e1000e/udp4791_dropped_write_bw.client", "timeout", "exchange"),
    ("fail_e1000e/udp4791_dropped_write_bw.server", "timeout", "exchange"),
    ("probe/send_lat_a.client", "timeout", "connect"),
    ("probe/send_lat_a.server", "timeout", "connect"),
    ("probe/send_lat_gid0_linklocal.client", "gid_mismatch", "exchange"),
    ("probe/send_lat_gid0_linklocal.server", "gid_mismatch", "exchange"),
    ("trixie/nodev_send_lat", "no_device", "start"),
]


def recorded(name: str, ending: str) -> str:
    path = FIXTURES / f"{name}.{ending}"
    return path.read_text() if path.exists() else ""


def request_of(name: str) -> tuple[Request, int]:
    """The end that was recorded, and its exit status."""
    about = recorded(name, "cmd")
    command = re.search(r"# command: (.*)", about)[1]
    test = re.search(r"ib_((?:send|write|read)_(?:lat|bw))", command)[1]
    last = command.split()[-1]
    server = last if re.fullmatch(r"[\d.]+|nosuch\.invalid", last) and "." in last else None
    return Request(test, "rxe0", server), int(re.search(r"# rc: (\d+)", about)[1])


@pytest.mark.parametrize(("name", "count", "row"), LATENCIES)
def test_recorded_latency(name: str, count: int, row: tuple) -> None:
    request, status = request_of(name)
    results = parse_results(recorded(name, "out"), request.test)
    assert (status, len(results)) == (0, count)
    assert not row or astuple(results[-1]) == row


@pytest.mark.parametrize(("name", "unit", "count", "row"), BANDWIDTHS)
def test_recorded_bandwidth(name: str, unit: float, count: int, row: tuple) -> None:
    request, status = request_of(name)
    results = parse_results(recorded(name, "out"), request.test)
    assert (status, len(results)) == (0, count)
    size, iterations, peak, average, rate = row
    peak = peak if peak is None else pytest.approx(peak * unit)
    assert astuple(results[-1]) == (size, iterations, peak, pytest.approx(average * unit), rate)


@pytest.mark.parametrize(("name", "error_kind", "phase"), FAILURES)
def test_recorded_failure(name: str, error_kind: str, phase: str) -> None:
    request, status = request_of(name)
    failure = judge(request, Ended(status, recorded(name, "out"), recorded(name, "err")))
    assert (failure.error_kind, failure.phase) == (error_kind, phase)
    assert failure.message
    assert failure.remedy


@pytest.mark.parametrize("name", [row[0] for row in LATENCIES + BANDWIDTHS if "output_" not in row[0]])
def test_recorded_settings(name: str) -> None:
    settings = asdict(parse_settings(recorded(name, "out")))
    gid_index = {"fail/gid_both_x2.client": 2, "fail/gid_both_x2.server": 2}.get(name, 1)
    mtu = 1024 if "9000_vs_1500" in name or "m4096" in name else 512 if "m1024" in name else 4096
    assert settings == {
        "device": "rxe0",
        "mtu_bytes": mtu,
        "gid_index": gid_index,
        "link_type": "Ethernet",
        "connection_type": "RC",
    }


@pytest.mark.parametrize("name", [row[0] for row in LATENCIES + BANDWIDTHS if row[-2] == 1])
def test_a_recording_cut_anywhere_says_nothing_else(name: str) -> None:
    request, _ = request_of(name)
    text = recorded(name, "out")
    rows, settings = parse_results(text, request.test), asdict(parse_settings(text))
    for length in range(len(text)):
        cut = asdict(parse_settings(text[:length]))
        assert all(cut[key] in (None, value) for key, value in settings.items())
        with contextlib.suppress(Unparsable):
            assert parse_results(text[:length], request.test) in ([], rows)


def test_every_recording_is_looked_at() -> None:
    named = {row[0] for row in LATENCIES + BANDWIDTHS + FAILURES}
    of_perftest = {
        str(path.relative_to(FIXTURES)).removesuffix(".cmd")
        for path in FIXTURES.glob("*/*.cmd")
        if re.search(r"# command:.* ?ib_(?:send|write|read)_(?:lat|bw)", path.read_text())
    }
    assert named == of_perftest
