"""The engines of an inventory, planned with what lies on the control node: models' files, and the gate's verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.errors import TandemError
from tandem.fabric import store
from tandem.plan import engines as plans
from tandem.plan import files, summary
from tandem.plan.engines import EnginePlan, Figures
from tandem.plan.files import Files
from tandem.plan.request import Link

Entries = Sequence[Mapping[str, Any]]
Variables = Mapping[str, Mapping[str, Any]]


def filled_engines(engines: Any, models: Any, variables: Variables) -> Any:  # noqa: ANN401 (what YAML can hold)
    """Return the engines with what their plans say where they say nothing; one without a plan stays as it is.

    ``variables`` are those of each node. What is not in the form of engines is returned as it is: the check of the
    inventory says what is wrong with it.
    """
    if not isinstance(engines, list) or not all(_is_readable(entry) for entry in engines):
        return engines
    return [{**plan.engine, **plan.filled} for plan, _ in _plans(engines, models, _figures(engines, variables))]


def reports(engines: Entries, models: Entries, variables: Variables, link: str, results: str) -> list[dict[str, Any]]:
    """Return for each engine why it is refused (empty if it is not), and some lines about its plan.

    ``link`` is the name of the ranks' link, and ``results`` the directory of the verdicts on it.
    """
    figures = _figures(engines, variables)
    found = []
    for plan, known in _plans(engines, models, figures):
        name = plan.engine["name"]
        if plan.refused:
            found.append({"refused": f"vllm_engine_engines[{name}]: {plan.refused}", "lines": []})
            continue
        between, source = _link(plan.engine, figures, link, Path(results))
        lines = summary.lines_of(plan, _speed(plan, known, figures, between), between, source)
        found.append({"refused": "", "lines": lines})
    return found


def _is_readable(entry: Any) -> bool:  # noqa: ANN401
    if not isinstance(entry, dict):
        return False
    nodes, extra = entry.get("nodes"), entry.get("extra_arguments") or {}
    named = isinstance(nodes, list) and bool(nodes) and all(isinstance(node, str) for node in nodes)
    return named and isinstance(extra, dict) and str(entry.get("gpus_per_node") or 1).isdigit()


def _figures(engines: Entries, variables: Variables) -> Figures:
    names = plans.NODE_VARIABLES + plans.LINK_VARIABLES
    nodes = {node for entry in engines for node in entry["nodes"] if node in variables}
    return {node: {name: variables[node].get(name) for name in names} for node in nodes}


def _plans(engines: Entries, models: Any, figures: Figures) -> list[tuple[EnginePlan, Files]]:  # noqa: ANN401
    known = {
        str(model.get("name")): files.read(model)
        for model in (models if isinstance(models, list) else [])
        if isinstance(model, dict)
    }
    strange = Files(missing="its model is not in model_weights_models")
    own = [known.get(str(entry.get("model")), strange) for entry in engines]
    return [
        (plans.plan_engine(entry, engines, found, figures), found) for entry, found in zip(engines, own, strict=True)
    ]


def _speed(plan: EnginePlan, known: Files, figures: Figures, link: Link | None) -> Mapping[str, Any] | str:
    """Return the plan with real speeds, or why there is none."""
    try:
        return plans.speed_of(plan, known, link, plans.bandwidth(plan.engine, figures))
    except TandemError as error:
        return str(error)


def _link(engine: Mapping[str, Any], figures: Figures, link: str, results: Path) -> tuple[Link | None, str]:
    """Return the link of an engine's nodes as the gate stored it, else as it is promised, and which of the two."""
    nodes = engine["nodes"]
    if len(nodes) == 1:
        return None, ""
    try:
        measured = plans.measured_link(store.read_all(results), link, nodes)
    except TandemError:
        measured = None  # not measured yet, or by another version: the gate measures anew and says so
    if measured is not None:
        return measured, "as measured last"
    try:
        return plans.promised_link(figures, nodes[0]), "as promised"
    except TandemError:
        return None, ""  # a wrong figure is a problem of the inventory, found by its check
