"""The module with a fake ibv_devinfo and a sysfs tree in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import rdma_info

RunModule = Callable[..., dict[str, Any]]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "rdma"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put an ibv_devinfo on the path, alone there, that prints a recording."""
    path = tmp_path / "bin" / "ibv_devinfo"
    path.parent.mkdir()
    monkeypatch.setenv("PATH", str(path.parent))

    def make(body: str) -> None:
        path.write_text(f'#!/bin/sh\n[ "$*" = -v ] || exit 99\n{body}\n')
        path.chmod(0o755)

    return make


def show(name: str, status: int = 0) -> str:
    out, error = (FIXTURES / f"{name}.{ending}" for ending in ("out", "err"))
    lines = [f"/bin/cat {out}" if out.exists() else ":", f"/bin/cat {error} >&2" if error.exists() else ":"]
    return "\n".join([*lines, f"exit {status}"])


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """Soft-RoCE on a card in a slot."""
    root = tmp_path / "sys"
    port = root / "class" / "infiniband" / "rxe0" / "ports" / "1"
    write(port.parents[1] / "parent", "eth1")
    write(port / "rate", "10 Gb/sec (4X SDR)")
    for index, gid in enumerate(["fe80::1", "::ffff:192.168.100.1", "::"]):
        write(port / "gids" / str(index), gid)
        write(port / "gid_attrs" / "types" / str(index), "RoCE v2")
        write(port / "gid_attrs" / "ndevs" / str(index), "eth1")
    card = root / "devices" / "pci0000:00" / "0000:00:02.5" / "0000:c2:00.0"
    for name, value in (("current_link_speed", "8.0 GT/s PCIe"), ("current_link_width", "4")):
        write(card / name, value)
        write(card / name.replace("current", "max"), value)
    net = root / "class" / "net" / "eth1"
    net.mkdir(parents=True)
    (net / "device").symlink_to(card)
    return root


def test_tool_and_sysfs_put_together(run_module: RunModule, tool: Callable[..., None], sysfs: Path) -> None:
    tool(show("static/ibv_devinfo_v"))
    result = run_module(rdma_info.main, sysfs_root=str(sysfs), check_mode=True)
    gid = {"type": "RoCE v2", "netdev": "eth1"}
    assert not result["changed"]
    assert result["devices"] == [
        {
            "name": "rxe0",
            "transport": "InfiniBand",
            "firmware_version": "0.0.0",
            "node_guid": "5054:00ff:fe64:0001",
            "vendor_id": "0xffffff",
            "vendor_part_id": 0,
            "board_id": None,
            "ports": [
                {
                    "port": 1,
                    "state": "ACTIVE",
                    "link_layer": "Ethernet",
                    "max_mtu_bytes": 4096,
                    "active_mtu_bytes": 4096,
                    "rate_gbit_per_s": 10.0,
                    "netdev": "eth1",
                    "gids": [
                        {"index": 0, "gid": "fe80::1", **gid},
                        {"index": 1, "gid": "::ffff:192.168.100.1", **gid},
                    ],
                    "roce_v2_ipv4_gid_index": 1,
                }
            ],
            "pcie": {
                "address": "0000:c2:00.0",
                "speed_gt_per_s": 8.0,
                "width": 4,
                "max_speed_gt_per_s": 8.0,
                "max_width": 4,
                "ceiling_gbit_per_s": 31.508,
                "slot_max_speed_gt_per_s": None,
                "slot_max_width": None,
            },
        }
    ]


def test_without_sysfs_the_tool_is_all_there_is(
    run_module: RunModule, tool: Callable[..., None], tmp_path: Path
) -> None:
    tool(show("trixie/ibv_devinfo_v"))
    (device,) = run_module(rdma_info.main, sysfs_root=str(tmp_path / "none"))["devices"]
    (port,) = device["ports"]
    assert (port["roce_v2_ipv4_gid_index"], port["rate_gbit_per_s"], port["netdev"]) == (1, 2.5, None)
    assert port["gids"][1] == {"index": 1, "gid": "::ffff:192.168.100.1", "type": "RoCE v2", "netdev": None}
    assert device["pcie"] is None


@pytest.mark.parametrize("name", ["fail/nodev_ibv_devinfo", "fail/nomod_ibv_devinfo", "trixie/nodev_ibv_devinfo"])
@pytest.mark.parametrize("status", [255, 1, 0])
def test_no_device_is_an_empty_list(run_module: RunModule, tool: Callable[..., None], name: str, status: int) -> None:
    tool(show(name, status))
    result = run_module(rdma_info.main)
    assert result["devices"] == []
    assert "warnings" not in result


def test_where_the_tool_says_that_there_is_no_device_does_not_matter(
    run_module: RunModule, tool: Callable[..., None]
) -> None:
    tool("echo 'No IB devices found'")
    assert run_module(rdma_info.main)["devices"] == []


def test_a_kernel_without_verbs_has_no_device(run_module: RunModule, tool: Callable[..., None]) -> None:
    tool("echo 'Failed to get IB devices list: Function not implemented' >&2; exit 255")
    assert run_module(rdma_info.main)["devices"] == []


def test_complaints_of_the_library_are_handed_on(run_module: RunModule, tool: Callable[..., None]) -> None:
    complaint = "libibverbs: Warning: no userspace device-specific driver found for /sys/class/infiniband_verbs/uverbs0"
    tool(f"echo '{complaint}' >&2; echo 'No IB devices found' >&2; exit 255")
    result = run_module(rdma_info.main)
    assert result["devices"] == []
    assert complaint in str(result["warnings"])


def test_a_device_that_does_not_open_leaves_the_others(run_module: RunModule, tool: Callable[..., None]) -> None:
    tool("echo 'Failed to open device' >&2\n" + show("other/devinfo-irdma_roce", 1))
    result = run_module(rdma_info.main, sysfs_root="/nonexistent")
    assert [device["name"] for device in result["devices"]] == ["rocep194s0"]
    assert "not every device may be listed" in str(result["warnings"])


@pytest.mark.parametrize(
    ("body", "error_kind", "message"),
    [
        ("exit 0", "unparsable", "an empty output"),
        ("echo 'Keine Geraete gefunden'", "unparsable", "no hca_id in 'Keine Geraete gefunden'"),
        ("printf 'hca_id:\\trxe0\\n\\ttransport:\\t\\tInfi'", "unparsable", "the output is not complete"),
        ("echo 'Failed to query device props' >&2; exit 2", "unparsable", "status 2: Failed to query device props"),
        ("exit 3", "unparsable", "status 3: it said nothing"),
        ("echo 'Failed to get IB devices list: Permission denied' >&2; exit 255", "permission", "Permission denied"),
        ("echo 'Failed to open device' >&2; exit 1", "permission", "Failed to open device"),
        ("/bin/sleep 20", "timeout", "did not end within 0.3 s"),
    ],
)
def test_what_is_not_understood_is_an_error(
    run_module: RunModule, tool: Callable[..., None], body: str, error_kind: str, message: str
) -> None:
    tool(body)
    result = run_module(rdma_info.main, timeout_s=0.3)
    assert result["error_kind"] == error_kind
    assert message in result["msg"]


def test_a_missing_tool_is_an_error(run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_module(rdma_info.main)
    assert result["error_kind"] == "missing_tool"
    assert "ibv_devinfo is not installed on this node" in result["msg"]
