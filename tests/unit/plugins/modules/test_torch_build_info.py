"""The module on virtual environments with nothing but the one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import torch_build_info

FIXTURES = Path(__file__).parents[3] / "fixtures" / "gpu"


@pytest.mark.parametrize(
    ("case", "cuda", "hip"), [("cpu", None, None), ("cuda", "13.0", None), ("rocm", None, "7.2.26015")]
)
def test_a_build(
    run_module: Callable[..., dict[str, Any]], tmp_path: Path, case: str, cuda: str | None, hip: str | None
) -> None:
    place = tmp_path / "lib/python3.12/site-packages/torch"
    place.mkdir(parents=True)
    (tmp_path / "lib64").symlink_to("lib")
    (place / "version.py").write_bytes((FIXTURES / f"torch-{case}.txt").read_bytes())
    result = run_module(torch_build_info.main, environment=str(tmp_path), check_mode=True)
    assert (result["cuda"], result["hip"], result["changed"]) == (cuda, hip, False)
    assert result["path"] == str(place / "version.py")


def test_an_environment_without_torch(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    assert run_module(torch_build_info.main, environment=str(tmp_path / "none"))["path"] is None
