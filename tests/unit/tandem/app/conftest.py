"""Apps of made-up wheels, and a pip that looks nowhere else."""

from types import SimpleNamespace

import pytest
from app_wheels import make_wheel

from tandem.app.release import App


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Two wheels on offer to pip, and a lock that names them."""
    directory = tmp_path / "offer"
    directory.mkdir()
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    hashes = {name: make_wheel(directory, name, "1.0") for name in ("alpha", "beta")}
    lock = tmp_path / "requirements.lock"
    lock.write_text("".join(f"{name}==1.0 \\\n    --hash=sha256:{sha}\n" for name, sha in hashes.items()))
    return SimpleNamespace(
        directory=directory, lock=lock, hashes=hashes, cache=tmp_path / "cache", app=App("demo", lock, (), "3.11")
    )


@pytest.fixture
def project(tmp_path):
    """A local project with sources, leftovers of tools, and a README."""
    root = tmp_path / "project"
    (root / "src" / "gamma" / "__pycache__").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "gamma"\nversion = "2.0"\nrequires-python = ">=3.11"\nreadme = "README.md"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/gamma"]\n'
    )
    (root / "README.md").write_text("words\n")
    (root / "src" / "gamma" / "__init__.py").write_text("ANSWER = 42\n")
    (root / "src" / "gamma" / "__pycache__" / "x.pyc").write_bytes(b"x")
    return root
