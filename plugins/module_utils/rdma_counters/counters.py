"""Reading the counters of an RDMA port, and knowing which of them count RDMA traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Of each driver what arrived and what was sent, one unit within a set: messages or packets. Sets overlap (a driver has
# the same traffic in packets and in bytes), so the first set of which a port has anything counts alone.
# Names as in drivers/infiniband of Linux 5.14 to 6.17; those of NICs count nothing but RDMA, unlike `ethtool -S`.
KNOWN: tuple[tuple[str, frozenset[str], frozenset[str]], ...] = (
    (
        "irdma",
        frozenset({"InRdmaReads", "InRdmaSends", "InRdmaWrites"}),
        frozenset({"OutRdmaReads", "OutRdmaSends", "OutRdmaWrites"}),
    ),
    (
        # The same driver until Linux 6.14, and i40iw before it.
        "irdma, old names",
        frozenset({"iwInRdmaReads", "iwInRdmaSends", "iwInRdmaWrites"}),
        frozenset({"iwOutRdmaReads", "iwOutRdmaSends", "iwOutRdmaWrites"}),
    ),
    ("rxe", frozenset({"rcvd_pkts"}), frozenset({"sent_pkts"})),
    ("bnxt_re", frozenset({"rx_roce_only_pkts"}), frozenset({"tx_roce_only_pkts"})),
    # Older bnxt_re, and efa.
    ("bnxt_re, old names", frozenset({"rx_pkts"}), frozenset({"tx_pkts"})),
    ("hns", frozenset({"rx_pkt"}), frozenset({"tx_pkt"})),
    # mlx5 and mlx4: on RoCE these leave out what the network interface itself sends.
    ("mlx5", frozenset({"port_rcv_packets"}), frozenset({"port_xmit_packets"})),
)


class NoPort(Exception):
    """There is no such device or port; the message says which there are."""


def read_counters(sysfs_root: Path, device: str, port: int) -> dict[str, int]:
    """All counters of a port; those of the hardware win over those of the same name that the IB standard has."""
    devices = sysfs_root / "class" / "infiniband"
    directory = devices / device / "ports" / str(port)
    if not directory.is_dir():
        present = sorted(entry.name for entry in devices.iterdir()) if devices.is_dir() else []
        raise NoPort(f"there is no RDMA device {device} with port {port}; found: {', '.join(present) or 'none'}")
    return {
        path.name: value
        for kind in ("counters", "hw_counters")
        for path in _entries(directory / kind)
        # How long a reading is kept for, and no counter.
        if path.name != "lifespan" and (value := _number(path)) is not None
    }


def received_and_sent(counters: Mapping[str, int]) -> tuple[int | None, int | None]:
    """What the port received and sent by RDMA so far; None where no counter of that is known."""
    for _, received, sent in KNOWN:
        if counters.keys() & (received | sent):
            return _sum(counters, received), _sum(counters, sent)
    return None, None


def _sum(counters: Mapping[str, int], names: frozenset[str]) -> int | None:
    values = [counters[name] for name in names if name in counters]
    return sum(values) if values else None


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _number(path: Path) -> int | None:
    """A counter; None for one that the device does not have (EINVAL) or that is no number."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None
