"""What keeps a rank from serving: pairs of its engine whose verdict is missing or bad.

Read by the rank supervisor on nodes: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tandem.errors import TandemError
from tandem.fabric import store

_TO_SERVE_ALL_THE_SAME = "or name the pair and a reason in fabric_gate_accept_risk"


def refusals(engine_nodes: Sequence[str], node: str, directory: Path | str, link: str | None = None) -> list[str]:
    """Return why this node must not serve in an engine on these nodes: nothing, or a sentence for each verdict.

    Every verdict between the two nodes counts, or with ``link`` that of this link alone.
    """
    return [
        words
        for other in dict.fromkeys(engine_nodes)
        if other != node
        for words in _of_pair(node, other, Path(directory), link)
    ]


def _of_pair(node: str, other: str, directory: Path, link: str | None) -> Iterator[str]:
    ends = (f"--{node}--{other}", f"--{other}--{node}")
    names = [f"{link}{end}.json" for end in ends] if link else [f"*{end}.json" for end in ends]
    found = sorted(path for path in _files(directory) if any(path.match(name) for name in names))
    if not found:
        where = directory / (f"{link or 'LINK'}{ends[0]}.json")
        yield (
            f"the fabric between {node} and {other} was not measured: there is no {where}; {store.HOW_TO_MEASURE}, "
            f"{_TO_SERVE_ALL_THE_SAME}"
        )
    for path in found:
        try:
            verdict = store.read(path)
        except TandemError as error:
            yield str(error)
            continue
        if set(verdict["nodes"]) != {node, other}:
            yield f"{path} is the verdict of {' and '.join(map(str, verdict['nodes']))}; {store.HOW_TO_MEASURE}"
        elif not verdict["serving_allowed"]:
            cause = verdict["cause"] or {"message": "no cause is given", "remedy": "look at the checks in the file"}
            yield (
                f"the fabric between {node} and {other} failed the gate ({path}): {cause['message']}. What to do: "
                f"{cause['remedy']}; then {store.HOW_TO_MEASURE}, {_TO_SERVE_ALL_THE_SAME}"
            )


def _files(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        # Missing, or not for this user: as good as no verdict.
        return []
