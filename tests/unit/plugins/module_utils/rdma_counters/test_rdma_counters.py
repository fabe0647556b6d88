"""Which counters count RDMA traffic."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.rdma_counters.counters import KNOWN, NoPort, read_counters, received_and_sent

RXE = Path(__file__).parents[4] / "fixtures" / "network" / "counters-rxe.txt"


def tree(root: Path, kind: str, counters: dict[str, str]) -> Path:
    directory = root / "class" / "infiniband" / "rxe0" / "ports" / "1" / kind
    directory.mkdir(parents=True)
    for name, value in counters.items():
        (directory / name).write_text(f"{value}\n")
    return root


def recorded() -> dict[str, str]:
    return dict(line.split(":") for line in RXE.read_text().splitlines())


def test_the_recorded_counters_of_soft_roce(tmp_path: Path) -> None:
    counters = read_counters(tree(tmp_path, "hw_counters", recorded()), "rxe0", 1)
    assert counters["rdma_sends"] == 1000
    assert "lifespan" not in counters
    assert received_and_sent(counters) == (10112, 2612)


def test_both_directories_are_read_and_the_hardware_wins(tmp_path: Path) -> None:
    tree(tmp_path, "counters", {"port_rcv_packets": "5", "port_xmit_packets": "7", "both": "1", "odd": "n/a"})
    tree(tmp_path, "hw_counters", {"rx_write_requests": "3", "both": "2"})
    counters = read_counters(tmp_path, "rxe0", 1)
    assert counters == {"port_rcv_packets": 5, "port_xmit_packets": 7, "rx_write_requests": 3, "both": 2}
    assert received_and_sent(counters) == (5, 7)


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({"InRdmaReads": 1, "InRdmaSends": 2, "InRdmaWrites": 4, "OutRdmaSends": 8, "ip4InOctets": 999}, (7, 8)),
        ({"iwInRdmaSends": 2, "iwOutRdmaWrites": 3, "RxUDP": 5, "TxUDP": 6}, (2, 3)),
        ({"rx_roce_only_pkts": 2, "tx_roce_only_pkts": 3, "rx_pkts": 100, "tx_pkts": 100}, (2, 3)),
        ({"rx_pkts": 4, "tx_pkts": 5, "rx_bytes": 4000}, (4, 5)),
        ({"rx_pkt": 4, "tx_pkt": 5, "rx_err_pkt": 1}, (4, 5)),
        ({"rcvd_pkts": 4}, (4, None)),
        ({"lost": 3}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_only_counters_of_rdma_traffic_are_summed(
    counters: dict[str, int], expected: tuple[int | None, int | None]
) -> None:
    assert received_and_sent(counters) == expected


def test_no_counter_counts_for_both_ways() -> None:
    for _, received, sent in KNOWN:
        assert not received & sent


def test_a_missing_port_names_what_is_there(tmp_path: Path) -> None:
    tree(tmp_path, "counters", {})
    with pytest.raises(NoPort, match=r"no RDMA device mlx5_0 with port 1; found: rxe0"):
        read_counters(tmp_path, "mlx5_0", 1)
    with pytest.raises(NoPort, match="found: none"):
        read_counters(tmp_path / "nothing", "rxe0", 1)
