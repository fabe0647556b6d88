"""Do the variables for NCCL, RCCL and Gloo exist, and do their values say what they are meant to say?

A name that nobody reads is ignored without a word, and the cluster runs with a default that its owner thinks changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tandem.inventory.problems import Problem, suggest
from tandem.rdma.environment import name_fault, value_fault
from tandem.rdma.known_names import REAL_NAMES
from tandem.rdma.soft_roce import pattern_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tandem.inventory.description import Description
    from tandem.inventory.specs import Value

EXTRA = "node_environment_extra"
ACCEPTED = "node_environment_accepted_names"


def find_environment_problems(description: Description) -> Iterator[Problem]:
    """Check the variables of every node and every engine."""
    for variables in description.variables.values():
        accepted = variables.get(ACCEPTED)
        names = [str(name) for name in accepted] if isinstance(accepted, list | tuple) else []
        yield from _check(EXTRA, variables.get(EXTRA), names)
        engines = variables.get("vllm_engine_engines")
        for engine in engines if isinstance(engines, list | tuple) else []:
            if isinstance(engine, Mapping):
                place = f"vllm_engine_engines[{engine.get('name')}].environment"
                yield from _check(place, engine.get("environment"), names)
        yield from _check_rdma(variables)


def _check(place: str, environment: Value, accepted: list[str]) -> Iterator[Problem]:
    if not isinstance(environment, Mapping):
        return  # of the wrong form, which is said elsewhere
    for key, value in environment.items():
        name = str(key)
        if name in accepted:
            continue
        fault = name_fault(name)
        if fault:
            found, meant = fault
            family = [other for other in REAL_NAMES if other.startswith(name[:4].upper())]
            remedy = f"did you mean {meant}?" if meant else _closest(name, family)
            yield Problem(f"{place}.{name}", found, f"{remedy} Or, if a plug-in reads it, add it to {ACCEPTED}")
        wrong = value_fault(name, str(value))
        if wrong:
            yield Problem(f"{place}.{name}", f"{str(value)!r} {wrong[0]}", f"write {wrong[1]!r}")


def _closest(name: str, family: list[str]) -> str:
    """Return a question, unless nothing is close: all of some 300 names help nobody."""
    suggestion = suggest(name.upper(), family)
    return suggestion if suggestion.startswith("did you mean") else "correct it."


def _check_rdma(variables: Mapping[str, Value]) -> Iterator[Problem]:
    pattern = variables.get("rdma_soft_roce_name")
    if isinstance(pattern, str) and pattern_fault(pattern):
        yield Problem("rdma_soft_roce_name", pattern_fault(pattern), "such as rxe_{interface}")
    index = variables.get("rdma_gid_index")
    if isinstance(index, int) and index < 0:
        yield Problem("rdma_gid_index", f"found {index}", "give the index of a GID, or leave it out: it is looked up")
