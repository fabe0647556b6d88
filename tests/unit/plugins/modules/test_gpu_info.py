"""The module with fake tools and a sysfs tree in a folder. The outputs are derived: see tests/fixtures/gpu."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import gpu_info

RunModule = Callable[..., dict[str, Any]]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "gpu"
GIB, MIB = 2**30, 2**20
HALO = "0000:c3:00.0"


class Node:
    """A machine in a folder."""

    def __init__(self, root: Path) -> None:
        self.sysfs = root / "sys"
        self.tools = root / "bin"
        self.log = root / "log"
        self.tools.mkdir()

    def write(self, path: str, text: object) -> None:
        place = self.sysfs / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{text}\n")

    def gpu(self, address: str, device: str, card: str, render: int, memory_bytes: tuple[int, int]) -> None:
        pci = f"devices/pci0000:00/{address}"
        self.write(f"{pci}/vendor", "0x1002")
        self.write(f"{pci}/device", device)
        self.write(f"{pci}/class", "0x030000")
        self.write(f"{pci}/uevent", f"DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_SLOT_NAME={address}")
        self.write(f"{pci}/mem_info_vram_total", memory_bytes[0])
        self.write(f"{pci}/mem_info_gtt_total", memory_bytes[1])
        (self.sysfs / pci / "drm" / card).mkdir(parents=True)
        (self.sysfs / pci / "drm" / f"renderD{render}").mkdir()
        for place in (f"class/drm/{card}", f"class/drm/{card}-DP-1"):
            (self.sysfs / place).mkdir(parents=True)
        (self.sysfs / f"class/drm/{card}/device").symlink_to(self.sysfs / pci)
        (self.sysfs / f"class/drm/{card}-DP-1/device").symlink_to(self.sysfs / f"class/drm/{card}")
        devices = self.sysfs / "bus/pci/devices"
        devices.mkdir(parents=True, exist_ok=True)
        (devices / address).symlink_to(self.sysfs / pci)

    def kfd(self, *cases: str) -> None:
        for number, case in enumerate(cases):
            text = (FIXTURES / f"kfd-{case}.txt").read_text()
            self.write(f"class/kfd/kfd/topology/nodes/{number}/properties", text)

    def tool(self, name: str, body: str) -> None:
        path = self.tools / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{body}\n')
        path.chmod(0o755)

    def rocminfo(self, case: str, status: int = 0) -> None:
        self.tool("rocminfo", f"/bin/cat {FIXTURES}/rocminfo-{case}.txt\nexit {status}")

    def amd_smi(self, case: str) -> None:
        version = f"[ $1 = version ] && exec /bin/cat {FIXTURES}/smi-version.json"
        self.tool("amd-smi", f"{version}\nexec /bin/cat {FIXTURES}/smi-{case}.json")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node(tmp_path)
    monkeypatch.setenv("PATH", str(made.tools))
    return made


@pytest.fixture
def halo(node: Node) -> Node:
    node.gpu(HALO, "0x1586", "card1", 128, (512 * MIB, 120 * GIB))
    node.write("module/ttm/parameters/pages_limit", 120 * 262144)
    node.kfd("processor", "gfx1151")
    return node


def test_the_kernel_and_both_tools(run_module: RunModule, halo: Node) -> None:
    halo.rocminfo("gfx1151")
    halo.amd_smi("gfx1151")
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs), check_mode=True)
    assert result["gpus"] == [
        {
            "pci_address": HALO,
            "device_id": "0x1586",
            "architecture": "gfx1151",
            "marketing_name": "Radeon 8060S Graphics",
            "integrated": True,
            "driver": "amdgpu",
            "driver_version": os.uname().release,
            "vram_bytes": 512 * MIB,
            "gtt_bytes": 120 * GIB,
            "compute_units": 40,
            "card": "card1",
            "render_node": "/dev/dri/renderD128",
            "kfd_node": 1,
            "seen_by_rocminfo": True,
        }
    ]
    assert (result["ttm_pages_limit"], result["rocm_version"]) == (31457280, "7.2.0")
    assert [result["tools"][name]["state"] for name in ("rocminfo", "amd_smi")] == ["ok", "ok"]
    assert not result["changed"]
    assert not result.get("warnings")
    assert halo.log.read_text().splitlines() == [
        "rocminfo ",
        "amd-smi static --asic --bus --driver --vram --json",
        "amd-smi version --json",
    ]


def test_the_kernel_alone(run_module: RunModule, halo: Node) -> None:
    halo.write("module/amdgpu/version", "6.16.13")
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs))
    (gpu,) = result["gpus"]
    assert (gpu["architecture"], gpu["marketing_name"], gpu["integrated"]) == ("gfx1151", None, True)
    assert (gpu["driver_version"], gpu["seen_by_rocminfo"], result["rocm_version"]) == ("6.16.13", None, None)
    assert [result["tools"][name]["state"] for name in ("rocminfo", "amd_smi")] == ["missing", "missing"]
    assert not result.get("warnings")


def test_tools_that_nobody_asks_for(run_module: RunModule, halo: Node) -> None:
    halo.rocminfo("unloaded", 1)
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs), tools=[])
    assert result["tools"]["rocminfo"] == {"state": "unused", "message": ""}
    assert not halo.log.exists()


def test_a_card_beside_the_processors_own_gpu(run_module: RunModule, node: Node) -> None:
    node.gpu("0000:11:00.0", "0x164e", "card0", 129, (512 * MIB, 31 * GIB))
    node.gpu("0000:03:00.0", "0x744c", "card1", 128, (24 * GIB, 31 * GIB))
    node.kfd("processor", "gfx1100", "gfx1036")
    node.rocminfo("desktop")
    card, own = run_module(gpu_info.main, sysfs_root=str(node.sysfs))["gpus"]
    assert (card["architecture"], card["integrated"], card["vram_bytes"]) == ("gfx1100", False, 24 * GIB)
    assert (own["architecture"], own["integrated"], own["vram_bytes"]) == ("gfx1036", True, 512 * MIB)
    assert (card["marketing_name"], own["marketing_name"]) == ("Radeon RX 7900 XTX", "AMD Radeon Graphics")
    assert (card["kfd_node"], own["kfd_node"]) == (1, 2)


def test_two_cards_of_a_kind_in_two_domains(run_module: RunModule, node: Node) -> None:
    for address, number in (("0000:05:00.0", 0), ("0001:26:00.0", 1)):
        node.gpu(address, "0x74a1", f"card{number}", 128 + 8 * number, (192 * GIB, 500 * GIB))
    node.kfd("processor", "processor", "gfx942")
    node.rocminfo("server")
    node.amd_smi("server")
    first, second = run_module(gpu_info.main, sysfs_root=str(node.sysfs))["gpus"]
    # KFD does not have the first one: amd-smi and rocminfo tell its architecture.
    assert (first["architecture"], first["kfd_node"], first["driver_version"]) == ("gfx942", None, os.uname().release)
    assert (second["architecture"], second["kfd_node"], second["integrated"]) == ("gfx942", 2, None)


def test_a_gpu_without_a_driver(run_module: RunModule, halo: Node) -> None:
    pci = halo.sysfs / "class/drm/card1/device"
    for name in ("mem_info_vram_total", "mem_info_gtt_total"):
        (pci / name).unlink()
    (pci / "uevent").write_text(f"PCI_SLOT_NAME={HALO}\n")
    (halo.sysfs / "class/drm/card1/device").unlink()
    (halo.sysfs / "class/kfd/kfd/topology/nodes/1/properties").unlink()
    halo.rocminfo("unloaded", 1)
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs))
    (gpu,) = result["gpus"]
    assert (gpu["driver"], gpu["driver_version"], gpu["vram_bytes"], gpu["architecture"]) == (None, None, None, None)
    assert result["tools"]["rocminfo"]["state"] == "failed"
    assert "driver amdgpu is not loaded" in result["tools"]["rocminfo"]["message"]
    assert "rocminfo ended with status 1" in str(result["warnings"])


def test_no_gpu_at_all(run_module: RunModule, node: Node) -> None:
    node.write("bus/pci/devices/0000:00:02.0/vendor", "0x8086")
    node.write("bus/pci/devices/0000:00:02.0/class", "0x030000")
    result = run_module(gpu_info.main, sysfs_root=str(node.sysfs))
    assert (result["gpus"], result["ttm_pages_limit"]) == ([], None)


def test_another_gpu_is_not_amds(run_module: RunModule, halo: Node) -> None:
    halo.gpu("0000:01:00.0", "0x2684", "card0", 129, (0, 0))
    halo.write("devices/pci0000:00/0000:01:00.0/vendor", "0x10de")
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs))
    assert [gpu["pci_address"] for gpu in result["gpus"]] == [HALO]


def test_a_gpu_that_rocminfo_does_not_see(run_module: RunModule, halo: Node) -> None:
    halo.rocminfo("processors")
    (gpu,) = run_module(gpu_info.main, sysfs_root=str(halo.sysfs))["gpus"]
    assert (gpu["seen_by_rocminfo"], gpu["architecture"]) == (False, "gfx1151")


def test_an_architecture_that_was_overridden(run_module: RunModule, halo: Node) -> None:
    text = (FIXTURES / "rocminfo-gfx1151.txt").read_text().replace("gfx1151", "gfx1100")
    (halo.sysfs / "said").write_text(text)
    halo.tool("rocminfo", f"/bin/cat {halo.sysfs}/said")
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs))
    assert result["gpus"][0]["architecture"] == "gfx1151"
    assert "is HSA_OVERRIDE_GFX_VERSION set?" in str(result["warnings"])


def test_tools_of_a_container(run_module: RunModule, halo: Node) -> None:
    halo.tool("podman", f'[ "$4" = rocminfo ] || exit 127\nexec /bin/cat {FIXTURES}/rocminfo-gfx1151.txt')
    prefix = ["podman", "run", "--rm", "image@sha256:0"]
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs), command_prefix=prefix)
    assert halo.log.read_text().splitlines()[0] == "podman run --rm image@sha256:0 rocminfo"
    # podman ends with 127 if the image has no such program.
    assert [result["tools"][name]["state"] for name in ("rocminfo", "amd_smi")] == ["ok", "missing"]


def test_an_image_that_is_not_there(run_module: RunModule, halo: Node) -> None:
    halo.tool("podman", "echo 'Error: image not known' >&2; exit 125")
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs), command_prefix=["podman", "run", "image@sha256:0"])
    assert result["tools"]["rocminfo"]["state"] == "failed"
    assert "status 125: Error: image not known" in result["tools"]["rocminfo"]["message"]


def test_a_tool_that_hangs(run_module: RunModule, halo: Node) -> None:
    halo.tool("amd-smi", "exec /bin/sleep 30")
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs), tools=["amd-smi"], timeout_s=0.3)
    assert result["tools"]["amd_smi"]["state"] == "failed"
    assert "did not end within 0.3 s" in result["tools"]["amd_smi"]["message"]
    assert result["gpus"][0]["architecture"] == "gfx1151"


def test_outputs_that_end_early(run_module: RunModule, halo: Node) -> None:
    halo.rocminfo("truncated")
    halo.amd_smi("truncated")
    result = run_module(gpu_info.main, sysfs_root=str(halo.sysfs))
    assert [result["tools"][name]["state"] for name in ("rocminfo", "amd_smi")] == ["failed", "failed"]
    assert result["gpus"][0]["seen_by_rocminfo"] is None
    assert len(result["warnings"]) == 2
