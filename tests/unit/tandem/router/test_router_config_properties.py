"""No text makes the loader fail, and what it accepts upstream's own tool accepts too."""

import copy

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from router_configs import BASE, FIXTURES, GOOD, problems_of, upstream_says

TREES = [yaml.safe_load(text) for text in (BASE, *((FIXTURES / name).read_text() for name in GOOD))]
#: Other values for a node: of each type, at edges, and such as YAML or upstream read in their own way.
VALUES = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 10**30, 0.5, -0.5, float("inf"), float("nan"), "", " ", "x", "yes", "1:30"),
        *("300s", "5s", "${X}", "$$", "a$b", "0x10", "64K", "[(", "http://h:1", "h:1", "2020-01-01", "\u2028", "\x07"),
        *([], {}, [None], [[]], {"a": 1}, {"enabled": False}, ["x"], [{}], "AND", "NOT", "fusion", "regex"),
    ]
)


def places(tree, path=()):
    """Yield the path of every node below the root."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def mutated(draw):
    """Draw a good configuration with one to three nodes deleted, renamed, retyped, doubled or moved."""
    tree = copy.deepcopy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 3))):
        all_places = list(places(tree))
        if not all_places:
            break
        *above, key = draw(st.sampled_from(all_places))
        parent = tree
        for part in above:
            parent = parent[part]
        change = draw(st.sampled_from(["delete", "rename", "retype", "copy", "double"]))
        if change == "delete":
            del parent[key]
        elif change == "rename" and isinstance(parent, dict):
            names = [f"{key}s", str(key)[:-1], str(key).upper(), "name", "x", 5, None, True]
            parent[draw(st.sampled_from(names))] = parent.pop(key)
        elif change == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif change == "copy":
            value = tree
            for part in draw(st.sampled_from(all_places)):
                value = value[part]
            parent[key] = copy.deepcopy(value)
        else:
            parent[key] = copy.deepcopy(draw(VALUES))
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=draw(st.booleans()))


def check(text):
    problems = problems_of(text)
    for problem in problems:
        assert 1 <= problem.line <= len(text.split("\n"))
        rendered = problem.render("config.yaml")
        assert rendered.isprintable()
        assert problem.found
        assert problem.remedy
    return problems


@given(mutated())
@settings(max_examples=400)
def test_a_mutation_is_good_or_has_a_line(text):
    check(text)


@given(text=mutated())
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_upstream_accepts_what_is_accepted(text, tmp_path):
    if not problems_of(text):
        assert upstream_says(tmp_path / "config.yaml", text) == ""


LINES = st.lists(
    st.sampled_from([*BASE.splitlines(), "- ", "  ", "x: &a", "*a", "? [", "---", "%YAML 9.9", "!!set {a}"])
)


@given(st.one_of(st.text(), st.binary(), LINES.map("\n".join), st.text(alphabet="[]{}:,-&*!|>'\"%@`\n \tab0")))
@settings(max_examples=400)
def test_any_text(data):
    for problem in problems_of(data):
        assert problem.render("config.yaml").isprintable()


@given(st.integers(0, len(BASE) - 1), st.characters(codec="utf-8"), st.booleans())
def test_any_character_anywhere(position, character, replace):
    check(BASE[:position] + character + BASE[position + replace :])


@pytest.mark.parametrize("length", range(0, len(BASE), 97))
def test_any_beginning(length):
    check(BASE[:length])
