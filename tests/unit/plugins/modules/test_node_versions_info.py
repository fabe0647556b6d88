"""The module with fake tools that answer as recorded, and a node's files in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import node_versions_info

RunModule = Callable[..., dict[str, Any]]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "network"
NO_DEVLINK = FIXTURES / "devlink-no_device.txt"
IMAGE = "docker.io/rocm/vllm@sha256:" + "0" * 64


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that puts a tool on the path, where no other is."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))

    def make(name: str, body: str) -> None:
        (path / name).write_text(f"#!/bin/sh\n{body}\n")
        (path / name).chmod(0o755)

    return make


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A Fedora node with a card, two programs and an engine in a container."""
    root = tmp_path / "root"
    card = root / "sys/devices/0000:c2:00.0"
    files = {
        "etc/os-release": 'ID=fedora\nVERSION_ID="43"\n',
        "proc/cmdline": "BOOT_IMAGE=x root=UUID=1 iommu=pt ttm.pages-limit=31457280 quiet pci=realloc\n",
        "etc/containers/systemd/tandem-engine@qwen.container": f"[Container]\nImage={IMAGE}\n",
        "sys/class/net/eth1/mtu": "9000\n",
        "sys/class/net/veth0/mtu": "1500\n",
        "sys/devices/0000:c2:00.0/vendor": "0x8086\n",
        "sys/devices/0000:c2:00.0/device": "0x1592\n",
        "sys/devices/0000:c2:00.0/subsystem_vendor": "0x8086\n",
        "sys/devices/0000:c2:00.0/subsystem_device": "0x0002\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "sys/class/net/eth1/device").symlink_to(card)
    (root / "sys/drivers/ice").mkdir(parents=True)
    (card / "driver").symlink_to(root / "sys/drivers/ice")
    for app in ("engine", "tandem"):
        (root / "opt/tandem" / app / "0123456789ab").mkdir(parents=True)
        (root / "opt/tandem" / app / "current").symlink_to("0123456789ab")
    (root / "opt/tandem/uv").mkdir()
    (root / "opt/tandem/gone").mkdir()
    (root / "opt/tandem/gone/current").symlink_to("ffffffffffff")
    return root


def run(run_module: RunModule, node: Path, **options: Any) -> dict[str, Any]:
    return run_module(
        node_versions_info.main,
        check_mode=True,
        root=str(node),
        packages=["linux-firmware", "rdma-core"],
        kernel_arguments=["iommu=pt", "ttm.pages_limit", "amd_iommu"],
        **options,
    )


def test_everything_of_a_node(run_module: RunModule, tools: Callable[[str, str], None], node: Path) -> None:
    # exec: a shell's own cat is not on this path.
    tools("ethtool", f"""case "$*" in
      "-a eth1") exec /bin/cat {FIXTURES}/ethtool-negotiated.txt;;
      "-i eth1") exec /bin/cat {FIXTURES}/driver-ice.txt;;
      *) exit 99;; esac""")  # fmt: skip
    tools("devlink", f'[ "$*" = "-j dev info pci/0000:c2:00.0" ] && exec /bin/cat {FIXTURES}/devlink-ice.json')
    tools(
        "rpm",
        """[ "$*" = '--query --queryformat %{NAME} %{VERSION}-%{RELEASE}\\n linux-firmware rdma-core' ] || exit 99
      echo linux-firmware 20260410-1.fc43; echo package rdma-core is not installed; exit 1""",
    )
    tools("podman", f'[ "$*" = "image inspect --format {{{{.Id}}}} {IMAGE}" ] && echo 9f3b1c')
    result = run(run_module, node, links={"link0": "eth1"})
    versions = result["versions"]
    assert not result["changed"]
    assert "warnings" not in result
    link = versions.pop("links")["link0"]
    assert versions == {
        "kernel": os.uname().release,
        "distribution": "fedora 43",
        "packages": {"linux-firmware": "20260410-1.fc43"},
        "kernel_arguments": {"iommu": "pt", "ttm.pages_limit": "31457280"},
        "runtimes": {"engine": "0123456789ab", "gone": "ffffffffffff", "tandem": "0123456789ab"},
        "images": {"qwen": "9f3b1c"},
    }
    assert link["firmware_components"].pop("fw.bundle_id") == "0x8002053d"
    assert (link["card"], link["driver"], link["firmware"]) == (
        "8086:1592 8086:0002",
        "ice",
        "4.80 0x8002053d 1.3805.0",
    )
    assert (link["mtu_bytes"], link["pause"]["rx"]) == (9000, True)


def test_a_driver_without_devlink_is_no_fault(
    run_module: RunModule, tools: Callable[[str, str], None], node: Path
) -> None:
    tools("ethtool", f"""case "$1" in
      -a) /bin/cat {FIXTURES}/ethtool-not_supported.txt >&2; exit 1;;
      -i) exec /bin/cat {FIXTURES}/driver-e1000e.txt;; esac""")  # fmt: skip
    tools("devlink", f"/bin/cat {NO_DEVLINK} >&2; exit 1")
    tools("rpm", "exit 2")
    tools("podman", "exit 125")
    result = run(run_module, node, links={"link0": "eth1"})
    link = result["versions"]["links"]["link0"]
    assert (link["pause"], link["firmware"], link["firmware_components"]) == (None, "2.1-0", {})
    # The image was not pulled yet.
    assert result["versions"]["images"] == {"qwen": None}
    assert len(result["warnings"]) == 1


def test_a_bare_node_tells_what_it_can(run_module: RunModule, tools: Callable[[str, str], None], node: Path) -> None:
    del tools
    result = run(run_module, node, links={"link0": "veth0"})
    assert result["versions"]["packages"] is None
    assert result["versions"]["links"]["link0"]["card"] is None
    assert result["versions"]["runtimes"].keys() == {"engine", "gone", "tandem"}
    assert "ethtool is not installed" in str(result["warnings"])
