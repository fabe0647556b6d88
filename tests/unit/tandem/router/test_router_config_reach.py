"""Decisions that no request gets to, and those that look like it."""

import pytest
from router_configs import problems_of

HEAD = """\
version: v0.3
listeners: [{name: http, address: localhost, port: 8899}]
providers: {models: [{name: m, backend_refs: [{endpoint: "m:8000"}]}]}
routing:
  signals: {keywords: [%s]}
  decisions:
"""


def k(number):
    return f"{{type: keyword, name: k{number}}}"


def both(*parts):
    return f"{{operator: AND, conditions: [{', '.join(parts)}]}}"


def either(*parts):
    return f"{{operator: OR, conditions: [{', '.join(parts)}]}}"


def no(part):
    return f"{{operator: NOT, conditions: [{part}]}}"


def unreachable(*decisions):
    """Return the indexes of decisions that are complained about; each is its priority, its rules and maybe fusion."""
    keywords = ", ".join(f"{{name: k{number}, operator: OR, keywords: [w{number}]}}" for number in range(20))
    text = HEAD % keywords
    for index, (priority, rules, *fusion) in enumerate(decisions):
        algorithm = ", algorithm: {type: fusion, fusion: {model: m}}" if fusion else ""
        text += (
            f"    - {{name: d{index}, priority: {priority}, rules: {rules}, modelRefs: [{{model: m}}]{algorithm}}}\n"
        )
    problems = problems_of(text)
    assert all("never" in problem.found for problem in problems)
    return [int(problem.path.split("[")[1].split("]")[0]) for problem in problems]


CASES = {
    "behind a catch-all": ([(2, "{}"), (1, k(0))], [1]),
    "before it": ([(1, "{}"), (2, k(0))], []),
    "beside it: it has no confidence": ([(1, "{}"), (1, k(0))], []),
    "the same, later in the alphabet": ([(1, k(0)), (1, k(0))], [1]),
    "more special, but later": ([(2, k(0)), (1, both(k(0), k(1)))], [1]),
    "more general, and later": ([(2, both(k(0), k(1))), (1, k(0))], []),
    "written in another way": ([(2, no(either(k(0), k(1)))), (1, both(no(k(0)), no(k(1))))], [1]),
    "two together": ([(3, k(0)), (2, no(k(0))), (1, k(1))], [2]),
    "two that leave a gap": ([(3, k(0)), (2, both(no(k(0)), k(2))), (1, k(1))], []),
    "never true": ([(1, both(k(0), no(k(0))))], [0]),
    "fusion behind a catch-all: vllm-sr/fusion gets to it": ([(2, "{}"), (1, k(0), "fusion")], []),
    "fusion behind fusion": ([(2, "{}", "fusion"), (1, k(0), "fusion")], [1]),
    "static behind fusion": ([(2, "{}", "fusion"), (1, k(0))], [1]),
    "many signals": ([(2, either(*map(k, range(20)))), (1, k(0)), (0, k(1))], []),
    "many signals, and a simple one": ([(3, k(0)), (2, either(*map(k, range(20)))), (1, both(k(0), k(1)))], [2]),
    "many signals behind a catch-all": ([(3, "{}"), (2, either(*map(k, range(20))))], [1]),
}


@pytest.mark.parametrize(("decisions", "expected"), CASES.values(), ids=CASES)
def test_reach(decisions, expected):
    assert unreachable(*decisions) == expected


def test_problems_have_an_end():
    (first, *others) = problems_of("version: v0.3\n" + "".join(f"key{number}: 1\n" for number in range(5000)))
    assert first.found.endswith("more problems")
    assert len(others) == 300
