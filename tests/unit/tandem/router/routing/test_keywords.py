"""Keywords: in tables, and against a matcher that is too simple to be wrong."""

import re

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from tandem.router.config.routing import KeywordSignal
from tandem.router.routing import keywords
from tandem.router.routing.keywords import Keywords


def signal(*words, operator="OR", name="s", **more):
    return KeywordSignal(name=name, operator=operator, keywords=words, **more)


def found(text, *signals):
    return dict(Keywords(signals).match(text.encode()))


@pytest.mark.parametrize(
    ("word", "text", "holds"),
    [
        ("urgent", "This is URGENT!", True),
        ("urgent", "insurgents", False),
        ("urgent", "insurgents, urgent", True),
        ("reset password", "please Reset Password now", True),
        ("reset password", "reset my password", False),
        # The word ends where no letter or digit stands, whatever it ends with itself.
        ("C++", "I write C++ daily", True),
        ("C++", "C++11", False),
        (".net", "asp.net", False),
        (".net", "a .NET service", True),
        ("a.c", "abc", False),
        ("snake", "snake_case", True),
        ("naïve", "a NAÏVE plan", True),
        ("na", "naïve", False),
        ("данные", "Какие данные?", True),
        ("данные", "метаданные", False),
        ("数据", "大数据分析", True),
        ("gpu", "用GPU训练", True),
        ("cat", "cat", True),
        ("cat", "catcat cat", True),
        ("cat", "", False),
        ("\\d+", "12", False),
        ("$100", "it costs $100", True),
    ],
)
def test_literal_words(word, text, holds):
    assert bool(found(text, signal(word))) is holds


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        (r"\d{3}-\d{4}", "call 555-1234", True),
        ("code", "barcodes", True),
        (r"\bcode\b", "barcodes", False),
        ("PYTHON|java", "I like python", True),
        ("^hello", "say hello", False),
        ("(?-i)Hello", "hello", False),
        ("", "anything", True),
    ],
)
def test_expressions(pattern, text, holds):
    assert bool(found(text, signal(pattern, method="regex"))) is holds


def test_case():
    assert found("Ada", signal("Ada", case_sensitive=True))
    assert not found("ada", signal("Ada", case_sensitive=True))
    assert not found("PYTHON", signal("python", method="regex", case_sensitive=True))


def test_operators_name_what_was_found():
    signals = [
        signal("a", "b", name="or"),
        signal("a", "b", "a", operator="AND", name="and"),
        signal("a", "b", operator="NOR", name="nor"),
    ]
    assert found("b!", *signals) == {"or": ("b",)}
    assert found("b a", *signals) == {"or": ("a", "b"), "and": ("a", "b")}
    assert found("c", *signals) == {"nor": ()}


def test_no_signals():
    assert found("text") == {}


words = st.text("aAbé数+. _1", min_size=1, max_size=4).filter(str.strip)
texts = st.text("aAbBéÉ数+. _1\n", max_size=30)
signals = st.builds(
    KeywordSignal,
    name=st.just("s"),
    operator=st.sampled_from(["AND", "OR", "NOR"]),
    keywords=st.lists(words, min_size=1, max_size=4).map(tuple),
    case_sensitive=st.booleans(),
)


def naive(text, keyword, case_sensitive):
    """Tell whether a word is somewhere with neither a letter nor a digit beside it."""
    if not case_sensitive:
        text, keyword = text.lower(), keyword.lower()

    def blocks(character):
        return character.isalnum() and character != "数"

    for start in range(len(text)):
        end = start + len(keyword)
        if text[start:end] == keyword:
            if "数" in keyword:
                return True
            if not (start and blocks(text[start - 1])) and not (end < len(text) and blocks(text[end])):
                return True
    return False


@given(st.lists(signals, max_size=5), texts)
@example([KeywordSignal(name="s", operator="OR", keywords=("aa",))], "aaa aa")
def test_like_the_naive_one(some, text):
    some = [
        KeywordSignal(name=f"s{place}", operator=one.operator, keywords=one.keywords, case_sensitive=one.case_sensitive)
        for place, one in enumerate(some)
    ]
    expected = set()
    for one in some:
        hits = [naive(text, word, one.case_sensitive) for word in one.keywords]
        if {"OR": any(hits), "AND": all(hits), "NOR": not any(hits)}[one.operator]:
            expected.add(one.name)
    assert set(Keywords(some).match(text.encode())) == expected


@given(st.lists(st.sampled_from(["a+b", "^a", "b$", r"\s", "[ab]{2}", "a|1", "É", "."]), min_size=1), texts)
def test_expressions_like_python(patterns, text):
    got = Keywords([signal(*patterns, method="regex")]).match(text.encode())
    expected = tuple(p for p in dict.fromkeys(patterns) if re.search(p.replace("$", r"\Z"), text, re.IGNORECASE))
    assert dict(got) == ({"s": expected} if expected else {})


def test_without_memory_for_one_pass_it_is_slower_and_not_wrong(monkeypatch):
    """RE2 then says that nothing was found, which must not be believed."""
    some = [signal("a.{60}b", "word", method="regex")]
    text = b"word " + b"a" * 2000
    monkeypatch.setattr(keywords, "_MAX_MEMORY_BYTES", 12_000)
    limited = Keywords(some)
    assert limited._set is None or limited._set.Match(text) is None
    assert limited.match(text) == Keywords(some).match(text)
    assert limited.match(text) == {"s": ("word",)}


def test_many_words_in_long_text():
    some = [signal(*(f"word{place}x{number}" for number in range(20)), name=f"s{place}") for place in range(100)]
    text = " ".join(f"word{place}x7" for place in range(0, 100, 10)) + " filler" * 10_000
    assert set(found(text, *some)) == {f"s{place}" for place in range(0, 100, 10)}


def test_re2_finds_the_empty_expression_everywhere():
    """What tells a pass without memory from one without hits."""
    matcher = re2.Set.SearchSet()
    matcher.Add("")
    matcher.Compile()
    assert list(matcher.Match("")) == [0]
