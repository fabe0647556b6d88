"""What NCCL is told, and which names it would not listen to."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.errors import TandemError
from tandem.rdma.environment import OFTEN_MEANT, name_fault, nccl_environment, value_fault
from tandem.rdma.known_names import REAL_NAMES

DEVICE: dict[str, Any] = {"name": "rocep194s0", "ports": [{"port": 2}]}
INTERFACE = {"NCCL_SOCKET_IFNAME": "=ens1", "GLOO_SOCKET_IFNAME": "ens1", "TP_SOCKET_IFNAME": "ens1"}
ROCE = {"NCCL_NET": "IB", "NCCL_IB_HCA": "=rocep194s0:2"}


@pytest.mark.parametrize(
    ("arguments", "options", "wanted"),
    [
        (("tcp", "ens1"), {}, {"NCCL_IB_DISABLE": "1"}),
        (("tcp", "ens1", DEVICE, 3), {"gpu_direct": True}, {"NCCL_IB_DISABLE": "1"}),
        (("roce", "ens1", DEVICE), {}, ROCE | {"NCCL_NET_GDR_LEVEL": "0"}),
        (("roce", "ens1", DEVICE, 0), {"gpu_direct": True}, ROCE | {"NCCL_IB_GID_INDEX": "0"}),
        (("roce", "ens1", DEVICE, 3), {}, ROCE | {"NCCL_NET_GDR_LEVEL": "0", "NCCL_IB_GID_INDEX": "3"}),
    ],
)
def test_a_node_is_told_its_own(arguments: Any, options: Any, wanted: dict[str, str]) -> None:
    assert nccl_environment(*arguments, **options) == INTERFACE | wanted


def test_a_roce_link_without_device_is_an_error() -> None:
    with pytest.raises(TandemError, match="no RDMA device is known on ens1"):
        nccl_environment("roce", "ens1")


@pytest.mark.parametrize("name", sorted(nccl_environment("roce", "ens1", DEVICE, 1) | nccl_environment("tcp", "ens1")))
def test_what_we_say_ourselves_would_be_accepted(name: str) -> None:
    value = (nccl_environment("roce", "ens1", DEVICE, 1) | nccl_environment("tcp", "ens1"))[name]
    assert name_fault(name) is None
    assert value_fault(name, value) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RCCL_NET_GDR_LEVEL", "NCCL_NET_GDR_LEVEL"),
        ("RCCL_IB_HCA", "NCCL_IB_HCA"),
        ("RCCL_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"),
        ("NCCL_IFNAME", "NCCL_SOCKET_IFNAME"),
        ("RCCL_IFNAME", "NCCL_SOCKET_IFNAME"),
        ("NCCL_GID_INDEX", "NCCL_IB_GID_INDEX"),
        ("NCCL_IB_GDR_LEVEL", "NCCL_NET_GDR_LEVEL"),
        ("NCCL_MSCCL_ENABLE", "RCCL_MSCCL_ENABLE"),
        ("nccl_debug", "NCCL_DEBUG"),
        ("GLOO_IFNAME", "GLOO_SOCKET_IFNAME"),
        ("NCCL_NO_SUCH_THING_AT_ALL", ""),
    ],
)
def test_a_name_that_does_not_exist_is_told_the_right_one(name: str, meant: str) -> None:
    assert name_fault(name) == ("is read by nobody", meant)


@pytest.mark.parametrize(
    "name",
    [
        "NCCL_NET_GDR_LEVEL", "NCCL_IB_TIMEOUT", "NCCL_DEBUG", "NCCL_P2P_DISABLE", "NCCL_SOCKET_NTHREADS",
        "NCCL_CUMEM_ENABLE", "NCCL_MIN_NCHANNELS", "RCCL_MSCCL_ENABLE", "NCCL_BLOCKING_WAIT", "NCCL_UCX_TLS",
        "TORCH_NCCL_BLOCKING_WAIT", "VLLM_NCCL_SO_PATH", "OMP_NUM_THREADS", "CCL_LOG_LEVEL",
    ],
)  # fmt: skip
def test_a_real_or_foreign_name_is_left_alone(name: str) -> None:
    assert name_fault(name) is None


def test_what_is_often_meant_exists_and_what_is_written_does_not() -> None:
    assert set(OFTEN_MEANT.values()) <= REAL_NAMES
    assert not OFTEN_MEANT.keys() & REAL_NAMES


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("NCCL_IB_HCA", "rocep194s0:1", "=rocep194s0:1"),
        ("NCCL_SOCKET_IFNAME", "eth1", "=eth1"),
        ("GLOO_SOCKET_IFNAME", "=eth1", "eth1"),
    ],
)
def test_a_value_that_says_something_else_is_told_the_exact_form(name: str, value: str, meant: str) -> None:
    fault = value_fault(name, value)
    assert fault is not None
    assert fault[1] == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NCCL_IB_HCA", "=mlx5_0"),
        ("NCCL_IB_HCA", "^=mlx5_0"),
        ("NCCL_SOCKET_IFNAME", "^docker"),
        ("NCCL_IB_HCA", ""),
        ("NCCL_DEBUG", "INFO"),
    ],
)
def test_an_exact_value_is_left_alone(name: str, value: str) -> None:
    assert value_fault(name, value) is None
