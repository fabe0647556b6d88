"""What every file keeps to."""

import re
from pathlib import Path

import pytest
import yaml
from files import ROOT, name, read, tracked

TESTS = "\n".join(read(path) for path in tracked("tests/**/*.py"))
#: Hosts of registries are configuration of a machine, unless they are the only place that has something.
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|(?:deb|security|ftp)\.debian\.org|registry-1?\.docker\.io|ghcr\.io"
)
PATHS_OF_A_MACHINE = re.compile(r"(?<![\w.{])/(?:work|root/\.pyenv|opt/pypi|home/\w+)/")
SELF = Path(__file__)


@pytest.mark.parametrize("path", [p for p in tracked("tests/fixtures/**") if p.name != "README.md"], ids=name)
def test_fixture_is_used(path: Path) -> None:
    """By its name with or without ending, or composed of a kind and a case, as in f"devices-{case}.txt"."""
    kind, _, case = path.stem.partition("-")
    named = re.search(rf"[\"'/]({re.escape(path.name)}|{re.escape(path.stem)})[\"']", TESTS)
    assert named or (f'"{kind}-{{' in TESTS and f'"{case}"' in TESTS)


@pytest.mark.parametrize("path", [p for p in tracked("**") if p != SELF], ids=name)
def test_nothing_of_this_machine(path: Path) -> None:
    text = read(path)
    assert not PATHS_OF_A_MACHINE.findall(text)
    assert not REGISTRIES.findall(text)


@pytest.mark.parametrize("path", tracked("scripts/*"), ids=name)
def test_script_is_short(path: Path) -> None:
    assert len(read(path).splitlines()) < 60


YAML = [p for d in ("roles", "playbooks", "inventories") for p in tracked(f"{d}/**/*.yml")] + tracked("*.yml")


@pytest.mark.parametrize("path", YAML, ids=name)
def test_versions_are_pinned(path: Path) -> None:
    assert not re.search(r":latest\b|\bstate: latest\b|\bversion: latest\b", read(path))


@pytest.mark.parametrize("path", YAML, ids=name)
def test_ignored_failures_are_judged_or_explained(path: Path) -> None:
    """A failure that does not stop the play is looked at by a later task, or a comment says why it need not be."""
    others = "\n".join(read(p) for p in tracked(f"{path.relative_to(ROOT).parts[0]}/**/*.yml"))
    for task in re.split(r"\n(?=\s*- name:)", read(path)):
        if re.search(r"\bignore_errors:|\bfailed_when: false\b|\bignore_unreachable:", task):
            register = re.search(r"\bregister: (\w+)", task)
            judged = register and len(re.findall(rf"\b{register[1]}\b", others)) > 1
            assert judged or "#" in task, task


def test_playbook_variables_are_known() -> None:
    """The check of the inventory must know each variable that belongs to no role."""
    from tandem.inventory.variables import PLAYBOOK_OPTIONS

    specified = {
        option
        for path in tracked("roles/*/meta/argument_specs.yml")
        for option in yaml.safe_load(read(path))["argument_specs"]["main"].get("options", {})
    }
    inventories = [yaml.safe_load(read(p)) or {} for p in tracked("inventories/*/*_vars/**/*.yml")]
    ours = {key for variables in inventories for key in variables if key.startswith("tandem_")}
    assert ours <= specified | PLAYBOOK_OPTIONS.keys()
    playbooks = "\n".join(read(path) for path in tracked("playbooks/*.yml"))
    for variable in PLAYBOOK_OPTIONS:
        assert variable in playbooks, f"{variable} is used by no playbook"


def test_packages_are_packages() -> None:
    """Relative imports need an __init__.py in each directory of plugins and src."""
    for path in tracked("plugins/**/*.py") + tracked("src/**/*.py"):
        # Ansible finds these by their directory, and loads each by itself.
        if not {"action", "callback", "connection", "filter"} & set(path.parts):
            assert (path.parent / "__init__.py").exists() or path.parent == ROOT / "src", name(path)
