"""Every module's documentation is true."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from files import name, read, tracked

PATHS = [path for path in tracked("plugins/modules/*.py") if path.name != "__init__.py"]


def load(path: Path) -> ModuleType:
    return importlib.import_module(f"plugins.modules.{path.stem}")


class Accepted(Exception):
    """Raised in place of running the module; carries what it accepts."""


def arguments(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the argument specification that a module hands to Ansible."""

    def stop(*, argument_spec: dict[str, Any], **options: Any) -> None:
        assert options.get("supports_check_mode") is True
        raise Accepted(argument_spec)

    module = load(path)
    monkeypatch.setattr(module, "AnsibleModule", stop)
    with pytest.raises(Accepted) as accepted:
        module.main()
    specification: dict[str, Any] = accepted.value.args[0]
    return specification


def compare(documented: dict[str, Any], accepted: dict[str, Any], prefix: str = "") -> None:
    assert documented.keys() == accepted.keys()
    for option, real in accepted.items():
        told = documented[option]
        assert told["description"], prefix + option
        for aspect, default in (("type", "str"), ("elements", None), ("required", False), ("choices", None)):
            assert told.get(aspect, default) == real.get(aspect, default), f"{prefix}{option}: {aspect}"
        assert told.get("default") == real.get("default"), f"{prefix}{option}: default"
        compare(told.get("suboptions", {}), real.get("options", {}), f"{prefix}{option}.")


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_documentation_matches_the_arguments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(path)
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert documentation["module"] == path.stem
    assert documentation["short_description"]
    compare(documentation["options"], arguments(path, monkeypatch))


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_results_are_documented(path: Path) -> None:
    for key, value in yaml.safe_load(load(path).RETURN).items():
        assert value["description"], key
        assert value["type"], key
        assert value["returned"], key


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_examples_use_the_module_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = arguments(path, monkeypatch)
    for task in yaml.safe_load(load(path).EXAMPLES):
        assert task["name"]
        assert set(task.get(path.stem, {})) <= set(accepted)


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_module_is_thin(path: Path) -> None:
    after_documentation = read(path).split("RETURN = ")[1].split('"""', 2)[2]
    code = [
        line for line in after_documentation.splitlines() if line.strip() and not line.startswith(("from ", "import "))
    ]
    assert len(code) <= 60


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_module_is_tested(path: Path) -> None:
    assert [test for test in tracked("tests/unit/plugins/modules/test_*.py") if path.stem in test.name]
