"""The costs as text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.drift.measure import Cost

#: Roles and plays that took less of a run are left out.
_LEAST_SHARE = 0.02


def line(cost: Cost) -> str:
    """Return one run as a line."""
    return (
        f"{'warm' if cost.warm else 'plain SSH':<10} {cost.nodes:>2} nodes  {cost.wall_sec:7.1f} s  "
        f"CPU here {cost.control_cpu_sec:7.1f} s  CPU on nodes {cost.node_cpu_sec:7.1f} s  "
        f"{ {0: 'clean', 2: 'drift'}[cost.status] }"
    )


def lines(costs: Sequence[Cost]) -> list[str]:
    """Return all runs, their ratios, and what each role took on a node."""
    found = {(cost.nodes, cost.warm): cost for cost in costs}
    text = [line(cost) for cost in costs]
    for nodes, warm in found:
        if warm and (nodes, False) in found:
            plain, cost = found[nodes, False], found[nodes, True]
            cpu = (plain.control_cpu_sec + plain.node_cpu_sec) / (cost.control_cpu_sec + cost.node_cpu_sec)
            text.append(
                f"plain SSH against warm, {nodes} nodes: time {plain.wall_sec / cost.wall_sec:.1f}, CPU {cpu:.1f}"
            )
    for warm in (True, False):
        few, many = (
            found.get((min(cost.nodes for cost in costs), warm)),
            found.get((max(cost.nodes for cost in costs), warm)),
        )
        if few and many and few != many:
            ratio = many.wall_sec / few.wall_sec
            text.append(f"{many.nodes} nodes against {few.nodes}, {'warm' if warm else 'plain SSH'}: time {ratio:.1f}")
    return text + _breakdown([cost for cost in costs if cost.warm])


def _breakdown(costs: Sequence[Cost]) -> list[str]:
    """Return the seconds of each role on one node, warm; nodes work side by side and wait for each other."""
    if not costs:
        return []
    names = [name for name, sec in costs[0].spent_sec.items() if sec > _LEAST_SHARE * sum(costs[0].spent_sec.values())]
    head = "seconds on each node, warm".ljust(50) + "".join(f"{cost.nodes:>4} nodes" for cost in costs)
    return [
        head,
        *(
            f"  {name[:46]:<48}" + "".join(f"{cost.spent_sec.get(name, 0) / cost.nodes:>10.2f}" for cost in costs)
            for name in names
        ),
    ]
