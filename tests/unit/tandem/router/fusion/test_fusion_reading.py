"""What judges and models write, read as what was meant."""

import pytest

from tandem.router.fusion.analysis import parse
from tandem.router.fusion.answers import Reply, best, loops, unusable
from tandem.router.fusion.tokens import of_request, of_text


@pytest.mark.parametrize(
    ("text", "consensus"),
    [
        ('{"consensus": ["a", "b"]}', ["a", "b"]),
        ('```json\n{"consensus": ["a"]}\n```', ["a"]),
        ('Here it is {as asked}: {"consensus": ["a"]} I hope it helps', ["a"]),
        ('{"consensus": ["a",], "blind_spots": [],}', ["a"]),
        ('{"consensus": ["a, }", "b"],}', ["a, }", "b"]),
        ('{"consensus": ["C:\\users", "\\d+"]}', ["C:\\users", "\\d+"]),
        ('{"consensus": ["two\nlines"]}', ["two\nlines"]),
        ('{"consensus": "one"}', ["one"]),
        ('{"consensus": [{"claim": "x"}, null, 3]}', ['{"claim": "x"}', "null", "3"]),
        ('{"consensus": null, "blind_spots": ["b"]}', []),
        ('{"analysis": {"consensus": ["deep"]}}', ["deep"]),
        ('{"consensus": ["whole", "cut o', ["whole"]),
        ('{"consensus": ["whole"], "contradictions": ["cut', ["whole"]),
        ('{"consensus": ["whole"], "contra', ["whole"]),
        ('{"consensus": ["whole"], ', ["whole"]),
        ('<think>{"consensus": ["draft"]}</think>{"consensus": ["final"]}', ["final"]),
    ],
)
def test_an_analysis_is_read(text, consensus):
    found = parse(text)
    assert not found.parse_failed
    assert list(found.lists["consensus"]) == consensus


@pytest.mark.parametrize(
    "text", ["", "no", "[]", '["consensus"]', '{"other": 1}', '{"consensus', "{" * 5000, "[" * 9999]
)
def test_what_is_no_analysis_is_kept(text):
    found = parse(text)
    assert found.parse_failed
    assert found.document() == {
        **{key: [] for key in ("consensus", "contradictions", "partial_coverage", "unique_insights", "blind_spots")},
        "raw": text,
        "parse_failed": True,
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-5", "5"),
        ("The answer is -5.", "The answer is 5."),
        ("a > b", "a < b"),
        ("x + 1", "x / 1"),
        ("x+1", "x-1"),
        ("less than 3: < 3", "less than 3: > 3"),
        ("C#", "C++"),
        ("5%", "5"),
        ("It costs $5", "It costs €5"),
        ("5 €", "5 £"),
    ],
)
def test_a_sign_can_make_another_answer(one, other):
    assert unusable(Reply(content=other), [Reply(content=one)]) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The sky, is BLUE!", "the sky is blue"),
        ("**42**", "42."),
        ("- one\n- two", "* one\n* two"),
        ("a well-known fact", "A well known fact"),
        ("x + 1 = -2", "x+1=\N{MINUS SIGN}2"),
        ("`ls` (lists)", "ls: lists"),
    ],
)
def test_form_and_punctuation_do_not(one, other):
    assert unusable(Reply(content=other), [Reply(content=one)]) == "repeated"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("the same line again\n" * 40, False),
        ("It begins well. " + "and then " * 30, True),
        ("哈" * 60, False),
        ("=" * 300, False),
    ],
)
def test_loops(text, cut):
    assert loops(text, cut=cut)
    assert unusable(Reply(content=text, finish_reason="length" if cut else "stop")) == "looping"


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no, no, no, no!",
        "| a | b |\n|---|---|\n" + "".join(f"| {number} | {number * number} |\n" for number in range(60)),
        "\n".join(f"- item {number}" for number in range(200)),
        "def f():\n    return 1\n\n" * 5,
        "Well... " + "." * 20,
    ],
)
def test_no_loops(text):
    assert not loops(text, cut=False)


def test_the_best_answer_is_most_like_the_others():
    replies = [
        Reply(content="whales are fish and live in the sea"),
        Reply(content="whales are mammals that live in the sea"),
        Reply(content="whales are mammals, they live in the sea, breathing air"),
        Reply(content="", reasoning="whales are mammals that live in the sea"),
    ]
    assert best(replies) == 1
    assert best([Reply(content="whales are mammals", finish_reason="length"), Reply(content="no idea")]) == 1
    assert best([Reply(content="one"), Reply(content="other")]) == 0
    assert best([]) is None


def test_tokens_are_above_what_tokenizers_take():
    english = "The quick brown fox jumps over the lazy dog. " * 20
    assert 200 <= of_text(english) <= 2.6 * 200, "common tokenizers take 10 for the sentence"
    assert of_text("1234567890") == 10
    assert of_text("grün") == 4
    assert of_text("          ") == 5
    text = {"messages": [{"role": "user", "content": english}]}
    image = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]}
    assert of_request(image) > 4096
    assert of_request({**text, "tools": [{"type": "function"}]}) > of_request(text) > of_text(english)
