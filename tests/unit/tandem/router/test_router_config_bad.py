"""One thing broken at a time: the place, the line and the words."""

import pytest
from router_broken import ALPHA, BROKEN, FUSION, PANEL
from router_configs import BASE, problems_of

#: Where other things refer to what is broken.
WITH_CONSEQUENCES = ("providers.models[2].name", "providers.defaults.model", f"{PANEL}.algorithm.fusion")


@pytest.mark.parametrize(("old", "new", "path", "found", "remedy"), BROKEN, ids=lambda value: value[:40])
def test_broken(old, new, path, found, remedy):
    assert old in BASE
    at = BASE.index(old)
    text = BASE.replace(old, new, 1)
    problems = problems_of(text)
    (problem,) = [item for item in problems if item.path == path and found in item.found and remedy in item.remedy]
    assert len(problems) == 1 or path in WITH_CONSEQUENCES
    assert "verysecret" not in problem.render("x")
    assert "\n" not in problem.render("x")
    assert 1 <= problem.line <= text.count("\n") + 1
    if problem.found.startswith(("no ", "neither", "a fallback without", "a merge", "the key '", "a key that")):
        return  # the line is that of what surrounds it
    if (
        path not in (f"{ALPHA}.name", f"{FUSION}.quorum_fallback_target", f"{PANEL}.algorithm.fusion")
        and "priority" not in path
    ):
        first = BASE[:at].count("\n") + 1
        assert first <= problem.line <= first + new.count("\n") + 1, problem


def test_a_fallback_that_is_a_member_by_another_name():
    text = BASE.replace("    - name: beta\n", "    - name: beta\n      provider_model_id: x\n")
    text = text.replace("    - name: gamma\n", "    - name: gamma\n      provider_model_id: x\n")
    (problem,) = problems_of(text)
    assert problem.found == "'gamma', which is the same model as beta"


WHOLE = {
    "empty": (b"", 1, "an empty file"),
    "only a comment": (b"# nothing\n", 1, "an empty file"),
    "not UTF-8": (b"version: v0.3\nx: \xff\n", 2, "the byte 0xff"),
    "UTF-16": ("version: v0.3".encode("utf-16"), 1, "the byte 0xff"),
    "a control character": (b"version: v0.3\nx: \x07\n", 2, "a control character"),
    "a NUL": (b"version: v0.3\n\0port: 1\n", 2, "the character U+0000"),
    "a line of its own kind": ("version: v0.3\r\nx: '\u2028'\r\n".encode(), 2, "the character U+2028"),
    "old line ends": (b"version: v0.3\rlisteners: []\r", 1, "the character U+000D"),
    "a tab": (b"version: v0.3\n\tx: 1\n", 2, "what is not YAML"),
    "an open quote": (b"version: 'v0.3\n", 2, "what is not YAML"),
    "an open bracket": (b"version: [", 1, "what is not YAML"),
    "an unknown alias": (b"version: *x", 1, "what is not YAML"),
    "two documents": (b"version: v0.3\n---\nversion: v0.3\n", 2, "a second document"),
    "a list": (b"- version: v0.3\n", 1, "a list"),
    "a word": (b"hello", 1, "'hello'"),
    "a number": (b"8", 1, "the number 8"),
    "null": (b"~", 1, "nothing"),
    "too deep": (b"[" * 100_000, 1, "more than 48 levels"),
    "too large": (b"#" * (1 << 20) + b"\n", 0, "more than 1048576 bytes"),
    "an alias of itself": (b"version: v0.3\nrouting: &a [*a]\n", 2, "an alias within what it stands for"),
    "a bomb": (
        b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 10)) for n in range(9)),
        1,
        "more than 20000 values",
    ),
}


@pytest.mark.parametrize(("data", "line", "found"), WHOLE.values(), ids=WHOLE)
def test_whole_file(data, line, found):
    (problem,) = problems_of(data)
    assert problem.line == line
    assert problem.found.startswith(found)


def test_all_at_once_sorted_by_line():
    text = (
        BASE.replace("port: 8899", "prot: 8899")
        .replace("[alpha, beta]", "[alpha, nobody]")
        .replace("${CLIENT_KEY}", "sk-verysecret")
        .replace("quorum_fallback_target: gamma", "quorum_fallback_target: alpha")
        .replace("threshold: 0.7", "threshold: 7")
        .replace(r"python\d", "python(")
    )
    assert [(item.line, item.path) for item in problems_of(text)] == [
        (5, "listeners[0].prot"),
        (7, "listeners[0].api_keys[0]"),
        (23, "routing.signals.keywords[0].keywords[0]"),
        (25, "routing.signals.embeddings[0].threshold"),
        (35, "routing.decisions[0].algorithm.fusion.analysis_models[1]"),
        (39, "routing.decisions[0].algorithm.fusion.quorum_fallback_target"),
    ]
