"""Fetching, with the real pip over a directory of wheels."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest
from app_wheels import make_wheel

from tandem.app import fetch as fetching
from tandem.app.fetch import fetch, lock_pins
from tandem.app.index import Target
from tandem.app.lock import parse_pins
from tandem.cli import main
from tandem.errors import TandemError

pytestmark = pytest.mark.slow


def test_fetches_once(offer, project):
    app = dataclasses.replace(offer.app, projects=(project,))
    first = fetch(app, offer.cache)
    names = sorted(path.name for path in first.directory.iterdir())
    assert names == [
        "alpha-1.0-py3-none-any.whl",
        "beta-1.0-py3-none-any.whl",
        "gamma-2.0-py3-none-any.whl",
        "requirements.txt",
    ]
    assert first.changed
    assert first.downloaded_bytes > 0
    pins = parse_pins((first.directory / "requirements.txt").read_text(), "requirements.txt")
    assert [str(pin) for pin in pins] == ["alpha==1.0", "beta==1.0", "gamma==2.0"]
    assert all(len(pin.hashes) == 1 for pin in pins)
    again = fetch(app, offer.cache)
    assert (again.directory, again.changed, again.downloaded_bytes) == (first.directory, False, 0)
    assert [path.name for path in offer.cache.iterdir() if path.is_dir()] == [first.directory.name]


def test_goes_on_where_a_killed_run_stopped(offer):
    partial = offer.cache / (fetching.release_directory(offer.app, offer.cache).name + ".partial")
    (partial / "batch-0").mkdir(parents=True)
    (partial / "batch-0" / "half").write_text("x")
    shutil.copy(offer.directory / "alpha-1.0-py3-none-any.whl", partial)
    (partial / "beta-1.0-py3-none-any.whl").write_bytes(b"cut short")
    size_bytes = (offer.directory / "beta-1.0-py3-none-any.whl").stat().st_size
    assert fetch(offer.app, offer.cache).downloaded_bytes == size_bytes
    assert not partial.exists()


def test_takes_wheels_from_former_releases(offer):
    fetch(offer.app, offer.cache)
    offer.lock.write_text(offer.lock.read_text() + "# a changed lock is another release\n")
    shutil.rmtree(offer.directory)
    second = fetch(offer.app, offer.cache)
    assert (second.changed, second.downloaded_bytes) == (True, 0)


def test_a_damaged_former_wheel_is_not_taken(offer):
    first = fetch(offer.app, offer.cache)
    (first.directory / "alpha-1.0-py3-none-any.whl").write_bytes(b"damaged")
    offer.lock.write_text(offer.lock.read_text() + "# a changed lock is another release\n")
    assert fetch(offer.app, offer.cache).downloaded_bytes > 0


def test_names_every_package_that_is_not_on_offer(offer):
    offer.lock.write_text(
        offer.lock.read_text() + f"zeta==9 --hash=sha256:{'0' * 64}\nomega==8 --hash=sha256:{'0' * 64}\n"
    )
    with pytest.raises(TandemError, match=r"no index offers omega==8, zeta==9 as a wheel for Python 3.11 on x86_64"):
        fetch(offer.app, offer.cache)


def test_a_wheel_for_another_python_is_not_on_offer(offer):
    sha = make_wheel(offer.directory, "delta", "1.0", "cp312-cp312-manylinux_2_17_x86_64")
    offer.lock.write_text(f"delta==1.0 --hash=sha256:{sha}\n")
    with pytest.raises(TandemError, match=r"no index offers delta==1.0"):
        fetch(offer.app, offer.cache)
    assert fetch(dataclasses.replace(offer.app, python_version="3.12"), offer.cache).changed


def test_the_extra_index_is_asked_for_the_rest_only(offer, monkeypatch):
    asked = []

    def download(requirements, target, directory, *, extra_index_urls=()):
        asked.append((sorted(map(str, requirements)), tuple(extra_index_urls)))
        directory.mkdir()
        if any(item.name == "beta" for item in requirements) and not extra_index_urls:
            raise fetching.NotOfferedError
        for item in requirements:
            shutil.copy(offer.directory / f"{item.name}-1.0-py3-none-any.whl", directory)

    monkeypatch.setattr(fetching, "download", download)
    fetch(offer.app, offer.cache, extra_index_urls=["https://extra.example/simple"])
    assert [item for item in asked if item[1]] == [(["beta==1.0"], ("https://extra.example/simple",))]


def test_refuses_a_wheel_that_is_not_the_locked_one(offer):
    wrong = offer.lock.read_text().replace(offer.hashes["alpha"], "1" * 64)
    offer.lock.write_text(wrong)
    with pytest.raises(TandemError, match=r"hash mismatch: alpha==1.0 .*Got\s+" + offer.hashes["alpha"]):
        fetch(offer.app, offer.cache)
    assert not fetching.release_directory(offer.app, offer.cache).exists()


def test_says_when_no_index_can_be_reached(offer, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(TandemError, match="cannot reach a package index") as caught:
        fetch(offer.app, offer.cache)
    assert "secret" not in str(caught.value)


def test_refuses_to_start_without_space(offer, monkeypatch):
    offer.lock.write_text("# download_bytes: 3145728\n" + offer.lock.read_text())
    usage = SimpleNamespace(free=1 << 20)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(TandemError, match=r"no space for the download: .* has 1 MiB free and needs 4 MiB"):
        fetch(offer.app, offer.cache)


def test_says_which_project_does_not_build(offer, project):
    (project / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "no_such_backend"\n')
    with pytest.raises(TandemError, match="cannot build the project project"):
        fetch(dataclasses.replace(offer.app, projects=(project,)), offer.cache)


def test_locks_what_pins_name(offer, tmp_path):
    locked, download_bytes, installed_bytes = lock_pins(
        parse_pins("alpha==1.0\nbeta==1.0\n", "pins"), Target("3.11", "x86_64"), tmp_path / "kept"
    )
    assert {pin.name: next(iter(pin.hashes)) for pin in locked} == offer.hashes
    assert download_bytes > 0
    assert installed_bytes > 0


def test_the_command_prints_json(offer, capsys):
    words = [
        "app",
        "fetch",
        "--name=demo",
        f"--lock={offer.lock}",
        "--python-version=3.11",
        f"--out-root={offer.cache}",
    ]
    assert main(words) == 0
    fetched = json.loads(capsys.readouterr().out)
    words[1] = "digest"
    assert main([*words, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["fetched"] is True
    assert {key: described[key] for key in ("digest", "directory")} == {
        key: fetched[key] for key in ("digest", "directory")
    }
