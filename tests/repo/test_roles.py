"""What every role keeps to."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from files import ROOT, name, read, tracked

ROLES = sorted({path.relative_to(ROOT).parts[1] for path in tracked("roles/*/tasks/main.yml")})


def load(role: str, file: str) -> dict[str, Any]:
    path = ROOT / "roles" / role / file
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def options(role: str) -> dict[str, Any]:
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    found: dict[str, Any] = specs["main"].get("options", {})
    return found


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_exactly_the_optional_keys(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    specified = {key: option["default"] for key, option in options(role).items() if "default" in option}
    assert defaults == specified
    for key, option in options(role).items():
        assert not (option.get("required") and "default" in option), key


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_described(role: str) -> None:
    def undescribed(entries: dict[str, Any], prefix: str = "") -> list[str]:
        found = []
        for key, option in entries.items():
            if not option.get("description") or not option.get("type"):
                found.append(prefix + key)
            found += undescribed(option.get("options", {}), f"{prefix}{key}.")
        return found

    for entry in load(role, "meta/argument_specs.yml")["argument_specs"].values():
        assert entry["short_description"]
        assert not undescribed(entry.get("options", {}))


@pytest.mark.parametrize("role", ROLES)
def test_public_names_start_with_the_role(role: str) -> None:
    for key in load(role, "defaults/main.yml"):
        assert key.startswith(f"{role}_"), key
    for key in load(role, "vars/main.yml"):
        assert key.startswith(f"__{role}_"), key


@pytest.mark.parametrize("path", tracked("roles/*/tasks/main.yml"), ids=name)
def test_main_reads_as_a_sentence(path: Path) -> None:
    lines = [line.strip() for line in read(path).splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= 40


#: These need what their role computes first, so they run with it.
PREFLIGHTS_OF_THEIR_ROLE = ("python_app", "port_guard")


def test_every_preflight_is_part_of_the_validation() -> None:
    roles = {path.parts[-3] for path in tracked("roles/*/tasks/preflight.yml")}
    included = [
        task["ansible.builtin.include_role"]["name"]
        for play in yaml.safe_load(read(ROOT / "playbooks/validate.yml"))
        for task in play["tasks"]
        if task.get("ansible.builtin.include_role", {}).get("tasks_from") == "preflight"
    ]
    assert set(included) == roles - set(PREFLIGHTS_OF_THEIR_ROLE)
