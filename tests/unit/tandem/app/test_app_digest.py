"""The digest that names a release: the same for the same inputs, another for any that matters."""

import dataclasses
import shutil

import pytest

from tandem.app.release import App, digest, wheel_identity
from tandem.errors import TandemError


def test_is_twelve_digits_and_does_not_know_the_place(offer, project, tmp_path):
    app = dataclasses.replace(offer.app, projects=(project,))
    moved = tmp_path / "elsewhere"
    shutil.copytree(project, moved)
    assert len(digest(app)) == 12
    assert digest(dataclasses.replace(app, projects=(moved,))) == digest(app)


def test_ignores_what_does_not_run(offer, project):
    app = dataclasses.replace(offer.app, projects=(project,))
    before = digest(app)
    (project / "README.md").write_text("other words\n")
    (project / "src" / "gamma" / "__pycache__" / "y.pyc").write_bytes(b"y")
    (project / "src" / "gamma.egg-info").mkdir()
    (project / "src" / "gamma.egg-info" / "PKG-INFO").write_text("x")
    assert digest(app) == before


def _edit_source(app, project):
    (project / "src" / "gamma" / "__init__.py").write_text("ANSWER = 43\n")
    return app


def _rename_source(app, project):
    (project / "src" / "gamma" / "__init__.py").rename(project / "src" / "gamma" / "other.py")
    return app


def _edit_lock(app, project):
    app.lock_file.write_text(app.lock_file.read_text() + "# again\n")
    return app


@pytest.mark.parametrize(
    "change",
    [
        _edit_source,
        _rename_source,
        _edit_lock,
        lambda app, project: dataclasses.replace(app, python_version="3.12"),
        lambda app, project: dataclasses.replace(app, platform="aarch64"),
        lambda app, project: dataclasses.replace(app, projects=()),
    ],
)
def test_changes_with_every_input(offer, project, change):
    app = dataclasses.replace(offer.app, projects=(project,))
    before = digest(app)
    assert digest(change(app, project)) != before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "../x"}, "app name"),
        ({"python_version": "3"}, "python version"),
        ({"platform": "sparc"}, "platform 'sparc'"),
        ({"lock_file": None}, "nothing to install"),
    ],
)
def test_refuses_apps_that_cannot_be(offer, fields, message):
    with pytest.raises(TandemError, match=message):
        dataclasses.replace(offer.app, **fields)


def test_names_the_missing_file(tmp_path):
    with pytest.raises(TandemError, match=r"cannot read the lock .*absent.lock of app demo: No such file"):
        digest(App("demo", tmp_path / "absent.lock", (), "3.11"))
    with pytest.raises(TandemError, match=r"has no pyproject.toml"):
        digest(App("demo", None, (tmp_path,), "3.11"))


def test_wheel_names():
    assert wheel_identity("Foo_Bar-1.0+cpu-cp311-cp311-linux_x86_64.whl") == ("foo-bar", "1.0+cpu")
    with pytest.raises(TandemError):
        wheel_identity("foo-1.0.tar.gz")
