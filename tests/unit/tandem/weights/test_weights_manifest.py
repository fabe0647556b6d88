"""The manifest format, against the real sha256sum and against generated names."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tandem.weights.manifest import ManifestError, parse_manifest, render_manifest

A, B = "a" * 64, "b" * 64
PART = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12).filter(
    lambda part: part not in {".", ".."}
)
NAME = st.lists(PART, min_size=1, max_size=3).map("/".join)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)


@settings(max_examples=100)
@given(st.dictionaries(NAME, DIGEST, min_size=1, max_size=6))
@example({"two words": A, "back\\slash": B})
@example({"line\nend": A, "return\r": B, "a\\nb": A})
@example({"\x85next line\u2028": A, " lead": B, "*star": B})
def test_what_is_written_is_read_back(digests: dict[str, str]) -> None:
    assert parse_manifest(render_manifest(digests)) == digests


def test_lines_are_sorted_and_bytes_that_are_no_text_survive() -> None:
    name = b"caf\xe9.bin".decode("utf-8", "surrogateescape")
    content = render_manifest({name: A, "b": B, "a": A})
    assert content.splitlines() == [f"{A}  a".encode(), f"{B}  b".encode(), A.encode() + b"  caf\xe9.bin"]
    assert parse_manifest(content)[name] == A


def test_sha256sum_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    names = ["plain.bin", "two words", "back\\slash", "line\nend"]
    for name in names:
        (tmp_path / name).write_text(name)
    theirs = subprocess.run(["sha256sum", "--", *names], cwd=tmp_path, capture_output=True, check=True).stdout
    digests = parse_manifest(theirs)
    assert set(digests) == set(names)
    check = subprocess.run(
        ["sha256sum", "--check", "--strict"], cwd=tmp_path, input=render_manifest(digests), check=False
    )
    assert check.returncode == 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "empty or cut short"),
        (f"{A}  a".encode(), "cut short"),
        (f"{A}  a\r\n".encode(), "CR LF"),
        (f"{A} a\n".encode(), "line 1: expected"),
        (f"{A[:-1]}  a\n".encode(), "line 1: expected"),
        (f"{A.upper()}  a\n".encode(), "line 1: expected"),
        (f"{A}  a\n{B}  a\n".encode(), "line 2: 'a' is listed twice"),
        (f"{A}  a\n{B}  ./a\n".encode(), "listed twice"),
        (f"{A}  /etc/passwd\n".encode(), "not a plain path"),
        (f"{A}  ../a\n".encode(), "not a plain path"),
        (f"{A}  a//b\n".encode(), "not a plain path"),
        (f"\\{A}  a\\tb\n".encode(), "unknown escape"),
        (f"\\{A}  a\\\n".encode(), "unknown escape"),
        (b"\n", "line 1: expected"),
    ],
)
def test_a_doubtful_manifest_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(ManifestError, match=text.replace("(", r"\(")):
        parse_manifest(content)
