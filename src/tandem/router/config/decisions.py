"""What decisions refer to, the panels of fusion, and limits that cannot be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tandem.router.config.checks import known, unique
from tandem.router.config.reach import check_reachable
from tandem.router.config.values import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.router.config.problems import Path, Problems
    from tandem.router.config.providers import Model
    from tandem.router.config.routing import Condition, Decision, Fusion
    from tandem.router.config.settings import Config

#: Types of conditions, and where their signals are.
FAMILIES = {"keyword": "keywords", "embedding": "embeddings", "context": "context"}


def check(config: Config, problems: Problems) -> None:
    """Note everything in the decisions that does not fit together."""
    path: Path = ("routing", "decisions")
    decisions = config.routing.decisions
    unique(path, (decision.name for decision in decisions), problems)
    models = {model.name: model for model in config.providers.models if model.name}
    signals = {
        kind: {signal.name for signal in getattr(config.routing.signals, family) if signal.name}
        for kind, family in FAMILIES.items()
    }
    for index, decision in enumerate(decisions):
        here = (*path, index)
        _check_models(decision, here, models, problems)
        _check_condition(decision.rules, (*here, "rules"), signals, problems, root=True)
        if decision.fusion:
            _check_fusion(decision, decision.fusion, (*here, "algorithm", "fusion"), models, problems)
            _check_stand_in(decision, config, here, problems)
        _check_limits(decision, (*here, "annotations", "tandem"), models, problems)
    if not problems.below(path):
        # A decision that could not be read would seem to take every request.
        check_reachable(decisions, problems)


def _check_models(decision: Decision, path: Path, models: Mapping[str, Model], problems: Problems) -> None:
    refs = (*path, "modelRefs")
    unique(refs, (ref.model for ref in decision.model_refs), problems, key="model")
    for index, ref in enumerate(decision.model_refs):
        known((*refs, index, "model"), ref.model, models, problems)
    algorithm = decision.algorithm
    least, count = algorithm.minimum_candidates or 0, len({ref.model for ref in decision.model_refs})
    if least > count:
        problems.add(
            (*path, "algorithm", "minimum_candidates"), f"{least} of {count} modelRefs", "name more, or remove it"
        )
    if problems.below((*path, "algorithm", "type")):
        return
    if algorithm.type == "static" and algorithm.fusion:
        problems.add((*path, "algorithm", "fusion"), "settings of fusion with another type", "write type: fusion")
    if algorithm.type == "fusion" and not algorithm.fusion and (*path, "algorithm", "fusion") not in problems.lines:
        problems.add((*path, "algorithm"), "fusion without a judge", "add fusion: {model: the judge}")
    if not decision.panel and refs not in problems.lines:
        problems.add(path, "no modelRefs", "name at least one model")
    elif not decision.panel and not problems.below(refs):
        problems.add(refs, "an empty list", "name at least one model")


def _check_condition(
    condition: Condition, path: Path, signals: Mapping[str, set[str]], problems: Problems, *, root: bool = False
) -> None:
    if problems.below(path) and not condition.conditions:
        return
    if condition.is_leaf:
        _check_leaf(condition, path, signals, problems)
    elif condition.operator is None and (*path, "operator") in problems.lines:
        pass  # it was there, and was noted
    elif condition.operator is None and (condition.conditions or not root):
        problems.add(path, "no operator", "add operator: AND, OR or NOT, or type and name of a signal")
    elif condition.operator == "NOT" and len(condition.conditions) != 1:
        problems.add(path, f"NOT over {len(condition.conditions)} conditions", "give it one; NOT over one OR is NOR")
    elif not condition.conditions and condition.operator and not (root and condition.operator == "AND"):
        problems.add(path, f"{condition.operator} over no condition", "add conditions, or leave it out")
    for index, child in enumerate(condition.conditions):
        _check_condition(child, (*path, "conditions", index), signals, problems)


def _check_leaf(condition: Condition, path: Path, signals: Mapping[str, set[str]], problems: Problems) -> None:
    if condition.operator or condition.conditions:
        problems.add(path, "a signal beside an operator", "write either type and name, or operator and conditions")
    elif condition.type is None or condition.name is None:
        missing = "type" if condition.type is None else "name"
        if (*path, missing) not in problems.lines:
            problems.add(path, f"no {missing}", "name a signal by type and name")
    else:
        known((*path, "name"), condition.name, signals[condition.type], problems, what=f"{condition.type} signal")


def _check_fusion(
    decision: Decision, fusion: Fusion, path: Path, models: Mapping[str, Model], problems: Problems
) -> None:
    panel = decision.panel
    known((*path, "model"), fusion.model, models, problems, what="judge")
    unique((*path, "analysis_models"), fusion.analysis_models, problems, key=None)
    for index, member in enumerate(fusion.analysis_models):
        known((*path, "analysis_models", index), member, models, problems, what="panel member")
    unique((*path, "analysis_overrides"), (item.model for item in fusion.analysis_overrides), problems, key="model")
    for index, override in enumerate(fusion.analysis_overrides):
        place = (*path, "analysis_overrides", index, "model")
        if known(place, override.model, models, problems) and override.model not in panel:
            problems.add(place, f"{describe(override.model)}, which is not in the panel", "name a member, or add it")
    least = fusion.min_successful_responses or 0
    if panel and least > len(set(panel)):
        found = f"{least} answers of a panel of {len(set(panel))}"
        problems.add((*path, "min_successful_responses"), found, "ask for at most all of them")
    _check_fallback(fusion, path, panel, models, problems)
    if fusion.analysis_template and fusion.analysis_mode != "separate":
        found = f"a template that analysis_mode {fusion.analysis_mode} does not use"
        problems.add((*path, "analysis_template"), found, "write analysis_mode: separate, or remove it")


def _check_fallback(
    fusion: Fusion, path: Path, panel: tuple[str, ...], models: Mapping[str, Model], problems: Problems
) -> None:
    target, place = fusion.quorum_fallback_target, (*path, "quorum_fallback_target")
    if fusion.quorum_failure_policy == "fallback":
        if place not in problems.lines:
            problems.add(path, "a fallback without a target", "add quorum_fallback_target: a model outside the panel")
    elif place in problems.lines and not problems.below((*path, "quorum_failure_policy")):
        problems.add(place, "a target without a fallback", "write quorum_failure_policy: fallback, or remove it")
    if target is None:
        return
    if target in panel:
        problems.add(place, f"{describe(target)}, which is in the panel that failed", "name a model outside of it")
    else:
        known(place, target, models, problems)


def _check_stand_in(decision: Decision, config: Config, path: Path, problems: Problems) -> None:
    """Note a fallback that cannot do what the panel can, or is a member by another name: upstream would not start."""
    target, place = decision.fusion and decision.fusion.quorum_fallback_target, "quorum_fallback_target"
    if not target or target in decision.panel:
        return
    capabilities = {card.name: set(card.capabilities) for card in config.routing.model_cards}
    needed = set().union(*(capabilities.get(name, set()) for name in decision.panel))
    if missing := needed - capabilities.get(target, set()):
        found = f"{describe(target)}, whose card lacks {', '.join(sorted(missing))} of the panel"
        problems.add((*path, "algorithm", "fusion", place), found, "add the capabilities, or name another model")
    served = {model.name: model.provider_model_id for model in config.providers.models if model.provider_model_id}
    same = [name for name in decision.panel if target in served and served.get(name) == served[target]]
    if same:
        found = f"{describe(target)}, which is the same model as {', '.join(same)}"
        problems.add((*path, "algorithm", "fusion", place), found, "name a model outside of the panel")


def _check_limits(decision: Decision, path: Path, models: Mapping[str, Model], problems: Problems) -> None:
    limits, fusion = decision.annotations.tandem, decision.fusion
    if limits.max_cost is not None:
        used = dict.fromkeys((*decision.panel, *((fusion.model, fusion.quorum_fallback_target) if fusion else ())))
        if free := [name for name in used if name in models and models[name].pricing is None]:
            found = f"a limit of money, and no prices of {', '.join(free)}"
            problems.add((*path, "max_cost"), found, "add their pricing (0 is a price)")
    # The quorum, one call for the analysis, one for the synthesis.
    least = decision.quorum + (2 if fusion.analysis_mode == "separate" else 1) if fusion else 1
    if limits.max_upstream_calls is not None and limits.max_upstream_calls < least:
        problems.add(
            (*path, "max_upstream_calls"),
            f"{limits.max_upstream_calls} calls where an answer takes {least}",
            "allow more, or ask for fewer answers",
        )
    if limits.panel_grace_seconds is not None and not fusion:
        problems.add((*path, "panel_grace_seconds"), "a grace time without a panel", "remove it")
