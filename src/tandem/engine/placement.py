"""Whether the ranks of engines live where the inventory puts them: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RAY_UNIT = "tandem-ray.service"


def ranks_wanted(engines: Sequence[Mapping[str, Any]], node: str) -> dict[str, int]:
    """Return how many ranks each unit on ``node`` must hold; Ray's unit holds those of all engines that it starts."""
    wanted: dict[str, int] = {}
    for engine in engines:
        if node in engine["nodes"]:
            ray = engine.get("executor", "ray") == "ray"
            unit = RAY_UNIT if ray else f"tandem-engine@{engine['name']}.service"
            wanted[unit] = wanted.get(unit, 0) + int(engine.get("gpus_per_node", 1))
    return wanted


def placement_problems(
    engines: Sequence[Mapping[str, Any]], node: str, ranks: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return a line for each unit of ``node`` that holds another number of ranks than it must.

    Args:
        engines: ``vllm_engine_engines``.
        node: the node that was asked.
        ranks: what ``engine_ranks_info`` found there.

    """
    wanted = ranks_wanted(engines, node)
    found: dict[str, list[str]] = {}
    for rank in ranks:
        found.setdefault(rank["unit"], []).append(f"{rank['title']} ({rank['pid']})")
    return [
        f"{node}: {unit} must hold {wanted.get(unit, 0)} rank(s), found {len(found.get(unit, []))}"
        f": {', '.join(found.get(unit, [])) or 'none'}; see `journalctl -u {unit}` there"
        for unit in sorted(wanted.keys() | found.keys())
        if wanted.get(unit, 0) != len(found.get(unit, []))
    ]
