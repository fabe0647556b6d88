"""What of a request is looked at."""

import pytest

from tandem.router.calls import Refused
from tandem.router.routing import text


def says(role, content, **more):
    return {"role": role, "content": content, **more}


@pytest.mark.parametrize(
    ("messages", "seen"),
    [
        ([says("user", "hello")], "hello"),
        ([says("system", "be kind"), says("user", "one"), says("assistant", "two"), says("user", "three")], "three"),
        # The last user message that has text, even where the tool spoke after it.
        ([says("user", "look it up"), says("assistant", None), says("tool", "secret result")], "look it up"),
        ([says("user", "first"), says("user", "")], "first"),
        ([says("user", "first"), says("user", [{"type": "image_url", "image_url": {"url": "x"}}])], "first"),
        ([says("user", [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}])], "a b"),
        ([says("user", [{"text": "no type"}, {"type": "text", "text": 5}, 7, None])], "no type"),
        (
            [says("system", "be"), says("developer", "very"), says("assistant", "kind"), says("tool", "x")],
            "be very kind",
        ),
        ([says("user", None), says("user", 5), {"role": "user"}, {}], ""),
        ([says("User", "roles are exact")], ""),
    ],
)
def test_text_of_chat(messages, seen):
    assert text.text_of_chat(messages) == seen


@pytest.mark.parametrize("message", [None, "hello", 3, ["role"]])
def test_what_is_no_message(message):
    with pytest.raises(Refused, match=r"messages\[1\]: .*send an object with a role"):
        text.text_of_chat([says("user", "x"), message])


@pytest.mark.parametrize(
    ("body", "found"),
    [({}, "no messages"), ({"messages": "hi"}, "messages: 'hi'"), ({"messages": []}, "messages is empty")],
)
def test_no_messages(body, found):
    with pytest.raises(Refused, match=found) as refused:
        text.messages_of(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("prompt", "seen"),
    [("hi", "hi"), (["a", "b"], "a b"), ([1, 2, 3], ""), ([[1, 2], [3]], ""), ("", "")],
)
def test_prompts(prompt, seen):
    assert text.text_of_prompt(text.prompt_of({"prompt": prompt})) == seen


@pytest.mark.parametrize("prompt", [None, [], 5, {"a": 1}])
def test_no_prompt(prompt):
    with pytest.raises(Refused, match="prompt"):
        text.prompt_of({"prompt": prompt})


def test_long_text_is_scanned_at_both_ends():
    data = text.scanned("alpha " + "é" * text.MAX_SCANNED_BYTES + " omega")
    assert len(data) <= text.MAX_SCANNED_BYTES + 1
    assert data.startswith(b"alpha ")
    assert data.endswith(b" omega")
    data.decode()


def test_lone_surrogates_are_text_too():
    assert text.scanned("a\ud800b") == b"a?b"


def test_an_embedding_sees_beginning_middle_and_end():
    seen = text.embedded("start " + "x" * 5000 + " middle " + "x" * 5000 + " end  ")
    assert len(seen) < text.MAX_EMBEDDED_CHARACTERS + 20
    assert seen.startswith("start")
    assert " middle " in seen
    assert seen.endswith("end")


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        # 4 for the message, and 4 + 400 bytes of role and text.
        ({"messages": [says("user", "x" * 400)]}, 4 + 101),
        ({"messages": [says("user", "é" * 200)]}, 4 + 101),
        ({"messages": [says("user", [{"type": "text", "text": "x" * 400}])]}, 4 + 101),
        ({"messages": [says("user", [{"type": "image_url", "image_url": {"url": "y" * 9999}}])]}, 4 + 1 + 8192),
        # What is structured counts a token for each byte.
        ({"messages": [says("user", [{"type": "x"}])]}, 4 + 1 + len('{"type":"x"}')),
        ({"messages": [says("tool", "x" * 10, tool_call_id="abcd")]}, 4 + 8 + 2 + 12),
        (
            {
                "messages": [
                    says("user", None, tool_calls=[{"id": "1234", "function": {"name": "f" * 4, "arguments": "{}"}}])
                ]
            },
            4 + 8 + 3 + 4,
        ),
        ({"messages": [], "tools": [{"a": 1}, {"b": 2}]}, 2 * (8 + 7)),
        ({"messages": [], "max_tokens": 100}, 100),
        ({"messages": [], "max_tokens": 100, "max_completion_tokens": 50}, 50),
        ({"messages": [], "max_tokens": None, "response_format": {"type": "text"}}, len('{"type":"text"}')),
        ({"prompt": "x" * 400}, 100),
        ({"prompt": [1, 2, 3]}, 3),
        ({"prompt": [[1, 2], [3]]}, 3),
        ({"messages": [], "max_tokens": 10**30}, (1 << 63) - 1),
    ],
)
def test_tokens(body, tokens):
    assert text.tokens_of(body) == tokens


def test_deep_structures_are_refused():
    nest = []
    for _ in range(100_000):
        nest = [nest]
    with pytest.raises(Refused, match="nested too deeply"):
        text.tokens_of({"messages": [], "tools": [nest]})
