"""Verification of real directories: every way a copy goes wrong, and what the cache may skip."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.weights.cache import DigestCache
from tandem.weights.hashing import CancelledReadError, Hashed, hash_files
from tandem.weights.manifest import render_manifest
from tandem.weights.tree import Entry, FileStat, scan
from tandem.weights.verify import (
    Problem,
    Report,
    UnusableTreeError,
    compare_digests,
    compare_names,
    make_manifest,
    verify,
)

A, B = "a" * 64, "b" * 64


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "sub").mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(b"weights" * 1000)
    (directory / "config.json").write_text("{}")
    (directory / "sub" / "empty.txt").touch()
    (directory / ".cache").mkdir()
    (directory / ".cache" / "lock").write_text("hidden")
    return directory


@pytest.fixture
def manifest(model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "model.sha256"
    path.write_bytes(render_manifest(make_manifest(model)))
    return path


def kinds(report: Report) -> dict[str, str]:
    return {problem.file: problem.kind for problem in report.problems}


def test_an_untouched_copy_verifies(model: Path, manifest: Path) -> None:
    report = verify(model, manifest)
    assert report.ok
    assert (report.files, report.bytes, report.hashed_bytes) == (3, 7002, 7002)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda d: (d / "config.json").unlink(), {"config.json": "missing"}),
        (lambda d: (d / "config.json").write_text("[]"), {"config.json": "mismatch"}),
        (lambda d: (d / "model.safetensors").write_bytes(b""), {"model.safetensors": "empty"}),
        (lambda d: (d / "old.safetensors").write_bytes(b"x"), {"old.safetensors": "extra"}),
        (lambda d: (d / "sub" / "tune.py").write_text("x"), {"sub/tune.py": "extra"}),
        (lambda d: (d / ".gitattributes").write_text("x"), {}),
        (lambda d: (d / "gone").symlink_to("/nowhere"), {"gone": "extra"}),
        (lambda d: ((d / "config.json").unlink(), os.mkfifo(d / "config.json")), {"config.json": "refused"}),
        (
            lambda d: ((d / "config.json").unlink(), (d / "config.json").symlink_to("/nowhere")),
            {"config.json": "refused"},
        ),
        (
            lambda d: (
                (d / "config.json").rename(d.parent / "config.json"),
                (d / "config.json").symlink_to(d.parent / "config.json"),
            ),
            {"config.json": "refused"},
        ),
        (
            lambda d: (
                (d / "config.json").rename(d / ".blob"),
                (d / "config.json").symlink_to(".blob"),
            ),
            {},
        ),
    ],
)
def test_each_way_a_copy_goes_wrong_is_named(
    model: Path, manifest: Path, damage: Callable[[Path], object], expected: dict[str, str]
) -> None:
    damage(model)
    assert kinds(verify(model, manifest)) == expected


def test_a_problem_says_what_and_what_to_do() -> None:
    line = str(Problem("model.safetensors", "mismatch", A, B))
    assert line == (
        f"'model.safetensors': mismatch, expected {A}, found {B}: copy this file again from a node on which it verifies"
    )


def test_comparison_needs_no_files() -> None:
    stat = FileStat(size=5, mtime_ns=1, ctime_ns=1, inode=1)
    found = {"a": Entry("a", stat), "new": Entry("new", stat)}
    assert [(p.file, p.kind) for p in compare_names({"a": A, "b": B}, found)] == [("b", "missing"), ("new", "extra")]
    assert compare_digests({"a": A}, {"a": Hashed(A)}) == []
    assert compare_digests({"a": A}, {"a": Hashed(B)}) == [Problem("a", "mismatch", A, B)]


def test_the_cache_skips_only_what_did_not_change(model: Path, manifest: Path, tmp_path: Path) -> None:
    sidecar = tmp_path / "cache" / "model.json"

    def run(**options: bool) -> Report:
        cache = DigestCache.load(model, sidecar)
        return verify(model, manifest, cache=cache, racy_window_sec=0, **options)

    assert run().hashed_bytes == 7002
    assert run().hashed_bytes == 0
    assert run(full=True).hashed_bytes == 7002

    # The same content with a new time is read again; then it is known again.
    os.utime(model / "config.json")
    assert run().hashed_bytes == 2
    assert run().hashed_bytes == 0

    # A damaged file whose size and time were put back is found by its change time.
    stat = (model / "model.safetensors").stat()
    (model / "model.safetensors").write_bytes(b"Weights" * 1000)
    os.utime(model / "model.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert kinds(run()) == {"model.safetensors": "mismatch"}
    assert kinds(run()) == {"model.safetensors": "mismatch"}, "a remembered digest is compared, not trusted"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"body": {}, "sha256": ""}', b"\xff\xfe"])
def test_a_cache_that_cannot_be_read_counts_as_empty(
    model: Path, manifest: Path, tmp_path: Path, content: bytes
) -> None:
    sidecar = tmp_path / "cache.json"
    sidecar.write_bytes(content)
    assert verify(model, manifest, cache=DigestCache.load(model, sidecar)).hashed_bytes == 7002


def test_an_edited_cache_is_not_believed(model: Path, manifest: Path, tmp_path: Path) -> None:
    sidecar = tmp_path / "cache.json"
    verify(model, manifest, cache=DigestCache.load(model, sidecar), racy_window_sec=0)
    document = json.loads(sidecar.read_text())
    document["body"]["files"]["config.json"]["sha256"] = A
    sidecar.write_text(json.dumps(document))
    report = verify(model, manifest, cache=DigestCache.load(model, sidecar))
    assert report.ok
    assert report.hashed_bytes == 7002


def test_a_file_just_written_is_not_remembered(model: Path, manifest: Path, tmp_path: Path) -> None:
    sidecar = tmp_path / "cache.json"
    for _ in range(2):
        report = verify(model, manifest, cache=DigestCache.load(model, sidecar), racy_window_sec=60)
        assert report.hashed_bytes == 7002


def test_a_cache_that_cannot_be_written_costs_only_time(model: Path, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = DigestCache.load(model, tmp_path / "file" / "cache.json")
    assert verify(model, manifest, cache=cache, racy_window_sec=0).ok
    assert cache.unsaved is not None
    assert verify(model, manifest, cache=cache, racy_window_sec=0).hashed_bytes == 0, "remembered in memory"


def test_a_file_that_changes_under_the_reader_is_refused(model: Path) -> None:
    stat = scan(model)["config.json"].stat
    (model / "config.json").write_text("longer than before")
    assert hash_files(model, {"config.json": stat})["config.json"].refusal == "changed while it was read"


def test_reading_can_be_cancelled(model: Path) -> None:
    stop = threading.Event()
    stop.set()
    files = {name: entry.stat for name, entry in scan(model).items()}
    with pytest.raises(CancelledReadError):
        hash_files(model, files, cancel=stop)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda d: (d / "new.safetensors").touch(), "weight file of 0 bytes"),
        (lambda d: (d / "link").symlink_to("/etc/hostname"), "out of the directory"),
        (lambda d: (d / "link").symlink_to("gone"), "a symbolic link to nothing"),
        (lambda d: (d / "loop").symlink_to("loop"), "a symbolic link to nothing"),
        (lambda d: (d / "dir").symlink_to("sub"), "not a regular file"),
    ],
)
def test_no_manifest_is_made_of_a_doubtful_tree(model: Path, spoil: Callable[[Path], object], text: str) -> None:
    spoil(model)
    with pytest.raises(UnusableTreeError, match=text):
        make_manifest(model)


def test_no_manifest_is_made_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnusableTreeError, match="holds no files"):
        make_manifest(tmp_path)
