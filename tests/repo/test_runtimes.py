"""The locks that nodes install from have what the extras of the package ask for."""

import re
import tomllib

import pytest
from files import ROOT

PINS = {"router": ["requirements", "requirements-embeddings"], "router-embeddings": ["requirements-embeddings"]}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def names(lines: list[str]) -> set[str]:
    """Return what is asked for, with its version where one is given."""
    return {line.split("#")[0].strip().lower() for line in lines if line.split("#")[0].strip()}


@pytest.mark.parametrize(("extra", "file"), [(extra, file) for extra, files in PINS.items() for file in files])
def test_the_routers_pins_are_those_of_its_extra(extra: str, file: str) -> None:
    pinned = names((ROOT / f"runtimes/router/{file}.in").read_text().splitlines())
    for wanted in names(EXTRAS.get(extra, [])):
        assert wanted in pinned or any(pin.startswith(f"{wanted}==") for pin in pinned), wanted


@pytest.mark.parametrize("file", sorted((ROOT / "runtimes/router").glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_is_made_of_its_pins(file) -> None:
    pins, version = re.fullmatch(r"(.*)-(3\.\d+)\.lock", file.name).groups()
    text = file.read_text()
    locked = set(re.findall(r"^(\S+==\S+) ", text, re.MULTILINE))
    assert locked == names((file.parent / f"{pins}.in").read_text().splitlines())
    assert f"--python-version {version}" in text
