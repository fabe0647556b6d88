"""What NCCL, RCCL and Gloo must be told about one node, so that they use the link as it is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tandem.errors import TandemError
from tandem.rdma.known_names import PLUGIN_PREFIXES, REAL_NAMES

OURS = re.compile(r"(NCCL|RCCL|GLOO)_", re.IGNORECASE)
#: What is often written, and neither a longer nor a shorter form of the real name.
OFTEN_MEANT = {
    "NCCL_GID_INDEX": "NCCL_IB_GID_INDEX",
    "NCCL_HCA": "NCCL_IB_HCA",
    "NCCL_IB_GDR_LEVEL": "NCCL_NET_GDR_LEVEL",
    "NCCL_IB_IFNAME": "NCCL_SOCKET_IFNAME",
    "NCCL_IFNAME": "NCCL_SOCKET_IFNAME",
    "NCCL_NET_IFNAME": "NCCL_SOCKET_IFNAME",
    "GLOO_IFNAME": "GLOO_SOCKET_IFNAME",
}
#: NCCL takes a bare word as the beginning of a name: eth1 is also eth10.
TAKEN_AS_PREFIX = ("NCCL_IB_HCA", "NCCL_SOCKET_IFNAME", "NCCL_OOB_NET_IFNAME")
#: These take names as they are.
TAKEN_AS_NAME = ("GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME")


def nccl_environment(
    transport: str,
    interface: str,
    device: Mapping[str, Any] | None = None,
    gid_index: int | None = None,
    *,
    gpu_direct: bool = False,
) -> dict[str, str]:
    """Return the environment of a node whose end of the link is this interface.

    ``device`` is the link's RDMA device with one port (see ``tandem.rdma.device``); needed for ``roce`` only.
    """
    found = {
        "NCCL_SOCKET_IFNAME": f"={interface}",
        "GLOO_SOCKET_IFNAME": interface,
        "TP_SOCKET_IFNAME": interface,
    }
    if transport == "tcp":
        return found | {"NCCL_IB_DISABLE": "1"}
    if device is None:
        raise TandemError(f"no RDMA device is known on {interface}: run the role rdma first, or set transport: tcp")
    found |= {
        # Without it NCCL falls back to sockets silently. With it, "Failed to initialize any NET plugin" and
        # ncclInvalidUsage (ncclNetInit in NCCL's src/plugin/net.cc; "network IB not found" in RCCL 2.21's src/net.cc).
        "NCCL_NET": "IB",
        "NCCL_IB_HCA": f"={device['name']}:{device['ports'][0]['port']}",
    }
    if not gpu_direct:
        # 0 is LOC, never: data goes through the memory of the host. Old RCCL knows the number, new NCCL both.
        found["NCCL_NET_GDR_LEVEL"] = "0"
    if gid_index is not None:
        found["NCCL_IB_GID_INDEX"] = str(gid_index)
    return found


def name_fault(name: str) -> tuple[str, str] | None:
    """Return what is wrong with the name of a variable that does not exist, and the one that was meant, if known."""
    if not OURS.match(name) or name in REAL_NAMES or name.startswith(PLUGIN_PREFIXES):
        return None
    return "is read by nobody", next(_candidates(name), "")


def _candidates(name: str) -> Iterator[str]:
    upper = name.upper()
    for candidate in (upper, upper.replace("RCCL_", "NCCL_", 1), upper.replace("NCCL_", "RCCL_", 1)):
        if candidate in REAL_NAMES:
            yield candidate
        if candidate in OFTEN_MEANT:
            yield OFTEN_MEANT[candidate]


def value_fault(name: str, value: str) -> tuple[str, str] | None:
    """Return what is wrong with a value and the value that was meant, if it selects more or less than it says."""
    if name in TAKEN_AS_PREFIX and value and not value.startswith(("=", "^")):
        return "is taken as the beginning of names", f"={value}"
    if name in TAKEN_AS_NAME and value.startswith(("=", "^")):
        return "is taken as a name with that sign in it", value.lstrip("=^")
    return None
