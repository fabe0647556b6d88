"""The module over a process tree in a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from plugins.modules import engine_ranks_info

RunModule = Callable[..., dict[str, Any]]


def test_returns_the_ranks_of_the_tree(run_module: RunModule, tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "cgroup").write_text("0::/tandem.slice/tandem-engine@pair.service\n")
    (tmp_path / "12" / "cmdline").write_bytes(b"VLLM::Worker_TP1\0\0")
    result = run_module(engine_ranks_info.main, proc_root=str(tmp_path), check_mode=True)
    assert result["ranks"] == [{"pid": 12, "title": "VLLM::Worker_TP1", "unit": "tandem-engine@pair.service"}]
    assert not result["changed"]


def test_a_node_without_ranks_has_an_empty_list(run_module: RunModule, tmp_path: Path) -> None:
    assert run_module(engine_ranks_info.main, proc_root=str(tmp_path))["ranks"] == []
