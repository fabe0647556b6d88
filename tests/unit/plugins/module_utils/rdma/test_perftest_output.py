# ruff: noqa: E501  (tables stand here as the tool prints them)
"""Tables of other versions and options of perftest, and text that is none."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from plugins.module_utils.rdma.perftest_output import (
    Bandwidth,
    Latency,
    Result,
    Unparsable,
    measured,
    parse_results,
    parse_settings,
)

MEBIBYTES = 8 * 1048576 / 1e9
LATENCY = (
    " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   "
    "99% percentile[usec]   99.9% percentile[usec] "
)
ROW = " 64       1000           4.91           9.73         5.02               5.07             0.12            5.60                    8.90   "
FULL = Latency(64, 1000, 4.91, 9.73, 5.02, 5.07, 0.12, 5.6, 8.9)

LATENCY_TABLES = [
    pytest.param(f"{LATENCY}\n{ROW}\n", [FULL], id="all columns"),
    pytest.param(f"{LATENCY}\r\n{ROW}\r\n----\r\n", [FULL], id="CRLF"),
    pytest.param("\t".join(LATENCY.split("  ")) + "\n" + "\t".join(ROW.split()) + "\n", [FULL], id="tabs"),
    pytest.param(" ".join(LATENCY.split()) + "\n" + " ".join(ROW.split()) + "\n", [FULL], id="single blanks"),
    pytest.param(
        " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]\n 2       1000          1.05           5.97         1.12   \n",
        [Latency(2, 1000, 1.05, 5.97, 1.12)],
        id="three columns before 2016",
    ),
    pytest.param(
        " #bytes        #iterations       t_avg[usec]    tps average\n 64            393823            7.60           65791.11\n",
        [Latency(64, 393823, latency_avg_usec=7.6)],
        id="duration",
    ),
    pytest.param(
        " #bytes        #iterations       t_avg[usec]    tps average    CPU_Util[%]\n 64   393823   7.60   65791.11  12.50\n",
        [Latency(64, 393823, latency_avg_usec=7.6)],
        id="duration with CPU load",
    ),
    pytest.param(
        f"{LATENCY}\nConflicting CPU frequency values detected: 1200.000000 != 3600.000000. CPU Frequency is not max.\n{ROW}\n",
        [FULL],
        id="warning between header and row",
    ),
    pytest.param(f"{LATENCY}\n{ROW}\n{LATENCY}\n{ROW.replace('64 ', '128')}\n", [FULL, Latency(128, *list(asdict(FULL).values())[1:])], id="repeated header"),
    pytest.param(f"{LATENCY}\n{ROW.replace('0.12', '-nan')}\n", [Latency(64, 1000, 4.91, 9.73, 5.02, 5.07, None, 5.6, 8.9)], id="-nan"),
    pytest.param(f"{LATENCY}\n{ROW.replace('9.73', 'inf').replace('4.91', '-3.00')}\n", [Latency(64, 1000, None, None, 5.02, 5.07, 0.12, 5.6, 8.9)], id="inf and below zero"),
    pytest.param(
        " #bytes #iterations  t_avg[usec]  t_jitter[usec]  Ts   t_max[nsec]\n 64 1000 5.07 0.5 17 9730\n",
        [Latency(64, 1000, latency_max_usec=pytest.approx(9.73), latency_avg_usec=5.07)],
        id="other columns, another order, another unit",
    ),
    pytest.param(f"{LATENCY}\n", [], id="header only"),
    pytest.param("", [], id="empty"),
    pytest.param("4.870000\n", [Latency(None, None, latency_avg_usec=4.87)], id="lone number"),
    pytest.param(" Connection type : RC\n4.870000\n", [], id="lone number among other output"),
    pytest.param("12\n", [], id="lone number without decimals"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LATENCY_TABLES)
def test_latency_table(text: str, expected: list[Result]) -> None:
    assert parse_results(text, "send_lat") == expected


BANDWIDTH_TABLES = [
    pytest.param(
        " #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n 65536      5000             97.61              97.58\t\t     0.186119\n",
        [Bandwidth(65536, 5000, 97.61, 97.58, 0.186119)],
        id="Gb",
    ),
    pytest.param(
        " #bytes     #iterations    BW peak[MiB/sec]    BW average[MiB/sec]   MsgRate[Mpps]\n 65536 5000 11635.61 11631.94 0.186111\n",
        [Bandwidth(65536, 5000, pytest.approx(11635.61 * MEBIBYTES), pytest.approx(11631.94 * MEBIBYTES), 0.186111)],
        id="MiB",
    ),
    pytest.param(
        " #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]\n 65536 5000 1635.61 1631.94\n",
        [Bandwidth(65536, 5000, pytest.approx(1635.61 * MEBIBYTES), pytest.approx(1631.94 * MEBIBYTES))],
        id="before message rates",
    ),
    pytest.param(
        " WARNING: BW peak won't be measured in this run.\n #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]    CPU_Util[%]\n"
        " 65536      403504           0.00               42.31                0.080701   3.21\n",
        [Bandwidth(65536, 403504, None, 42.31, 0.080701)],
        id="duration with CPU load",
    ),
    pytest.param(
        " #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]   BW Port1[MB/sec]   MsgRate Port1[Mpps]   BW Port2[MB/sec]   MsgRate Port2[Mpps]\n"
        " 65536 1000 200.0 100.0 0.2 60.0 0.12 40.0 0.08\n",
        [Bandwidth(65536, 1000, pytest.approx(200 * MEBIBYTES), pytest.approx(100 * MEBIBYTES), 0.2)],
        id="per port",
    ),
    pytest.param(
        " #bytes    #sl      #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n 65536    3           1000           97.61            97.58                  0.186119\n",
        [Bandwidth(65536, 1000, 97.61, 97.58, 0.186119)],
        id="service levels",
    ),
    pytest.param(
        " #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n 2 5000 0.042350 0.042185 2.636533\n 4 5000 0.084507 0.084457 2.639276\n"
        "Conflicting CPU frequency values detected: 2500.0 != 3100.0. CPU Frequency is not max.\n 8 5000 0.17 0.17 2.641399\n",
        [Bandwidth(2, 5000, 0.04235, 0.042185, 2.636533), Bandwidth(4, 5000, 0.084507, 0.084457, 2.639276), Bandwidth(8, 5000, 0.17, 0.17, 2.641399)],
        id="all sizes with a warning between rows",
    ),
    pytest.param(
        " #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]\n 65536      0                0.00               0.00   \t\t   0.000000\n",
        [Bandwidth(65536, 0)],
        id="row of zeros of a run that was broken off",
    ),
    pytest.param("97.580000\n", [Bandwidth(None, None, bandwidth_avg_gbit_per_s=97.58)], id="lone number"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), BANDWIDTH_TABLES)
def test_bandwidth_table(text: str, expected: list[Result]) -> None:
    assert parse_results(text, "write_bw") == expected


def test_a_lone_bandwidth_has_the_unit_of_the_command() -> None:
    assert parse_results("100.0\n", "write_bw", "MB/sec")[0].bandwidth_avg_gbit_per_s == pytest.approx(100 * MEBIBYTES)


def test_a_row_of_zeros_measured_nothing() -> None:
    assert not measured(Bandwidth(65536, 0))
    assert measured(Latency(2, 5, latency_avg_usec=0.9))


@pytest.mark.parametrize(
    ("text", "test", "why"),
    [
        (f"{LATENCY}\n 64 1000 4.91 9.7\n", "send_lat", "4 numbers under 9 columns"),
        (f"{LATENCY} extra\n{ROW} 1 2\n", "send_lat", "11 numbers under 10 columns"),
        (f"{LATENCY}\n nan 1000 4.91 9.73 5.02 5.07 0.12 5.60 8.90\n", "send_lat", "no message size"),
        (f"{LATENCY}\n 64.5 1000 4.91 9.73 5.02 5.07 0.12 5.60 8.90\n", "send_lat", "not a count"),
        (f"{LATENCY}\n{ROW}\n", "send_bw", "another kind of table"),
        ("#bytes #iterations BW peak[Gb/sec]\n", "send_lat", "another kind of table"),
        ("#bytes #iterations BW average[furlongs/sec]\n64 5 1.0\n", "send_bw", "unknown unit"),
        (
            "#bytes #iterations BW average[Gb/sec] BW average[Gb/sec]\n64 5 1.0 2.0\n",
            "send_bw",
            "another kind of table",
        ),
        (f"{LATENCY}\n{ROW}".rstrip(), "send_lat", "cut off"),
        (" 64 1000 4.91 9.73 5.02\n", "send_lat", "numbers without a header"),
    ],
)
def test_text_that_is_not_understood_gives_no_numbers(text: str, test: str, why: str) -> None:
    with pytest.raises(Unparsable, match=why):
        parse_results(text, test)


def test_a_table_cut_anywhere_never_gives_another_number() -> None:
    text = f"{LATENCY}\n{ROW}\n"
    for length in range(len(text.rstrip())):
        try:
            results = parse_results(text[:length], "send_lat")
        except Unparsable:
            continue
        assert results in ([], [FULL])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (None, None, None, None, None), id="nothing"),
        pytest.param(
            " Dual-port       : OFF\t\tDevice         : mlx5_0\r\n Connection type : RC\t\tUsing SRQ      : OFF\r\n"
            " PCIe relax order: ON\t\tLock-free      : OFF\r\n Mtu             : 4096[B]\r\n Link type       : IB\r\n",
            ("mlx5_0", 4096, None, "IB", "RC"),
            id="native InfiniBand",
        ),
        pytest.param(
            " Dual-port       : OFF\t\tDevice : siw_ens33\n Number of qps : 1\t\tTransport type : IW\n Connection type : RC\n"
            " Mtu : 1024[B]\n Link type : Ethernet\n Gid index : 0\n GID index2      : 7\n",
            ("siw_ens33", 1024, 0, "Ethernet", "RC"),
            id="iWARP, other capitals",
        ),
        pytest.param(" MTU: 2048\n gid INDEX :3\n", (None, 2048, 3, None, None), id="no brackets"),
    ],
)
def test_settings(text: str, expected: tuple) -> None:
    assert tuple(asdict(parse_settings(text)).values()) == expected
