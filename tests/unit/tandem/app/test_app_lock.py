"""Lock files: what is read, what is refused."""

import pytest

from tandem.app.lock import Requirement, parse_lock, parse_pins, render_lock
from tandem.errors import TandemError

SHA = "a" * 64


def test_reads_continued_lines_comments_and_sizes():
    lock = parse_lock(
        f"# download_bytes: 10\n# installed_bytes: 30\nFoo_Bar==1.0+cpu \\\n    --hash=sha256:{SHA}  # via me\n", "lock"
    )
    assert lock.requirements == (Requirement("foo-bar", "1.0+cpu", frozenset({SHA})),)
    assert (lock.download_bytes, lock.installed_bytes) == (10, 30)


def test_an_empty_lock_is_a_lock():
    assert parse_lock("", "lock").requirements == ()


def test_rendered_locks_read_back():
    pins = [Requirement("b", "1", frozenset({SHA, "b" * 64})), Requirement("a", "2", frozenset({SHA}))]
    text = render_lock(pins, download_bytes=1, installed_bytes=2, command="tandem app lock")
    assert parse_lock(text, "lock").requirements == (pins[1], pins[0])
    assert "://" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo>=1.0", "lock:1: want 'name==version"),
        ("# a comment\nfoo==1.0 --hash=md5:1", "lock:2: want"),
        ("https://example.org/foo.whl", "lock:1: want"),
        ("foo==1.0 ; python_version > '3'", "lock:1: want"),
        (f"foo==1.0 --hash=sha256:{SHA}\nFoo==1.1 --hash=sha256:{SHA}", "lock:2: foo is pinned twice"),
        ("foo==1.0", "foo==1.0 has no --hash"),
    ],
)
def test_refuses_what_is_not_locked(text, message):
    with pytest.raises(TandemError, match=message):
        parse_lock(text, "lock")


def test_pins_need_no_hash():
    assert [str(pin) for pin in parse_pins("b==1\na==2\n", "pins")] == ["a==2", "b==1"]
