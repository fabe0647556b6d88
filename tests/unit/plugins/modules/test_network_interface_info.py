"""The module with a fake ethtool and a sysfs tree in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import network_interface_info

RunModule = Callable[..., dict[str, Any]]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "network"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put an ethtool on the path, alone there."""
    path = tmp_path / "bin" / "ethtool"
    path.parent.mkdir()
    monkeypatch.setenv("PATH", str(path.parent))

    def make(body: str) -> None:
        path.write_text(f'#!/bin/sh\n[ "$1 $#" = "-a 2" ] || exit 99\n{body}\n')
        path.chmod(0o755)

    return make


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """One card with a link, and a bridge that is no card."""
    root = tmp_path / "sys"
    card = root / "devices" / "pci0000:00" / "0000:00:02.5" / "0000:c2:00.0"
    card.mkdir(parents=True)
    for name, value in (("current_link_speed", "16.0 GT/s PCIe"), ("current_link_width", "4")):
        (card / name).write_text(f"{value}\n")
        (card / name.replace("current", "max")).write_text(f"{value}\n")
    driver = root / "bus" / "pci" / "drivers" / "ice"
    driver.mkdir(parents=True)
    (card / "driver").symlink_to(driver)
    for name, values in {
        "eth1": {"operstate": "up", "carrier": "1", "mtu": "9000", "speed": "100000"},
        "br0": {"operstate": "down", "mtu": "1500", "speed": "-1"},
        "old0": {"operstate": "unknown", "carrier": "0", "mtu": "1500", "speed": "4294967295"},
    }.items():
        directory = root / "class" / "net" / name
        directory.mkdir(parents=True)
        for file, value in values.items():
            (directory / file).write_text(f"{value}\n")
    (root / "class" / "net" / "eth1" / "device").symlink_to(card)
    (root / "class" / "net" / "bonding_masters").write_text("\n")
    return root


def test_a_card_and_an_interface_that_is_missing(
    run_module: RunModule, tool: Callable[[str], None], sysfs: Path
) -> None:
    tool(f"/bin/cat {FIXTURES / 'ethtool-negotiated.txt'}")
    result = run_module(
        network_interface_info.main, interfaces=["eth1", "eth7"], sysfs_root=str(sysfs), check_mode=True
    )
    card, missing = result["interfaces"]
    assert card == {
        "name": "eth1",
        "exists": True,
        "operational_state": "up",
        "carrier": True,
        "mtu_bytes": 9000,
        "speed_gbit_per_s": 100.0,
        "driver": "ice",
        "pause": {
            "autonegotiate": True,
            "rx": True,
            "tx": True,
            "negotiated_rx": True,
            "negotiated_tx": False,
        },
        "pcie": {
            "address": "0000:c2:00.0",
            "speed_gt_per_s": 16.0,
            "width": 4,
            "max_speed_gt_per_s": 16.0,
            "max_width": 4,
            "ceiling_gbit_per_s": pytest.approx(63.0, abs=0.1),
            "slot_max_speed_gt_per_s": None,
            "slot_max_width": None,
        },
    }
    assert (missing["name"], missing["exists"]) == ("eth7", False)
    assert {value for key, value in missing.items() if key not in ("name", "exists")} == {None}
    assert not result["changed"]


@pytest.mark.parametrize(("name", "carrier"), [("br0", None), ("old0", False)])
def test_what_a_device_does_not_tell_is_null(
    run_module: RunModule, tool: Callable[[str], None], sysfs: Path, name: str, carrier: bool | None
) -> None:
    tool(f"/bin/cat {FIXTURES / 'ethtool-not_supported.txt'} >&2; exit 1")
    (found,) = run_module(network_interface_info.main, interfaces=[name], sysfs_root=str(sysfs))["interfaces"]
    assert found["carrier"] is carrier
    assert found["mtu_bytes"] == 1500
    assert (found["speed_gbit_per_s"], found["driver"], found["pause"], found["pcie"]) == (None, None, None, None)


def test_an_interface_that_goes_away_meanwhile_is_no_error(
    run_module: RunModule, tool: Callable[[str], None], sysfs: Path
) -> None:
    tool(f"/bin/cat {FIXTURES / 'ethtool-no_device.txt'} >&2; exit 75")
    (found,) = run_module(network_interface_info.main, interfaces=["eth1"], sysfs_root=str(sysfs))["interfaces"]
    assert found["pause"] is None


@pytest.mark.parametrize(
    "case",
    [
        ("echo 'netlink error: Operation not permitted' >&2; exit 1", "permission", "not permitted"),
        ("echo 'broken' >&2; exit 3", "unparsable", "status 3"),
        ("echo 'Pause parameters for eth1:'", "unparsable", "eth1"),
        ("exec /bin/sleep 20", "timeout", "dmesg"),
    ],
)
def test_what_is_not_understood_is_an_error(
    run_module: RunModule, tool: Callable[[str], None], sysfs: Path, case: tuple[str, str, str]
) -> None:
    body, error_kind, words = case
    tool(body)
    result = run_module(network_interface_info.main, interfaces=["eth1"], sysfs_root=str(sysfs), timeout_s=0.5)
    assert result["error_kind"] == error_kind
    assert words in result["msg"]


def test_a_missing_tool_is_an_error(
    run_module: RunModule, sysfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_module(network_interface_info.main, interfaces=["eth1"], sysfs_root=str(sysfs))
    assert result["error_kind"] == "missing_tool"
    assert "Install ethtool" in result["msg"]


@pytest.mark.parametrize("name", ["", "../eth1", "-a", "a b", "averyveryverylongname", ".."])
def test_what_is_no_name_is_refused(run_module: RunModule, sysfs: Path, name: str) -> None:
    result = run_module(network_interface_info.main, interfaces=[name], sysfs_root=str(sysfs))
    assert "no name of a network interface" in result["msg"]
