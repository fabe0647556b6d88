"""The module with a sysfs tree in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from plugins.modules import rdma_counters_info

RunModule = Callable[..., dict[str, Any]]


def test_the_counters_of_a_port(run_module: RunModule, tmp_path: Path) -> None:
    directory = tmp_path / "class" / "infiniband" / "rocep194s0" / "ports" / "2" / "hw_counters"
    directory.mkdir(parents=True)
    for name, value in (("InRdmaWrites", 7), ("OutRdmaWrites", 9), ("cnpSent", 1)):
        (directory / name).write_text(f"{value}\n")
    result = run_module(rdma_counters_info.main, device="rocep194s0", port=2, sysfs_root=str(tmp_path), check_mode=True)
    assert result["counters"] == {"InRdmaWrites": 7, "OutRdmaWrites": 9, "cnpSent": 1}
    assert (result["received"], result["sent"]) == (7, 9)
    assert not result["changed"]


def test_a_missing_device_is_an_error(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module(rdma_counters_info.main, device="rocep194s0", sysfs_root=str(tmp_path))
    assert "no RDMA device rocep194s0 with port 1" in result["msg"]
