"""vLLM as the lab's nodes run it: the same locked wheels, in an environment of their own on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from tandem.app.fetch import fetch
from tandem.app.release import App

ROOT = Path(__file__).parents[2]
INVENTORY = ROOT / "inventories/lab"


def python() -> Path:
    """Return the interpreter that has vLLM, after making its environment if there is none of this lock."""
    settings = yaml.safe_load((INVENTORY / "group_vars/all/runtime.yml").read_text())["tandem_runtime"]
    lock, *projects = (_path(text) for text in (settings["lock"], *settings["projects"]))
    # The name that nodes have it under: what the lab downloaded is found by it.
    app = App("engine", lock, tuple(projects), settings["python_version"])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem"
    wheels = fetch(app, cache, extra_index_urls=settings["extra_index_urls"])
    environment = ROOT / ".cache/planner-benchmark" / wheels.digest
    if not environment.is_dir():
        _install(wheels.directory, settings["python_version"], environment)
    return environment / "bin/python"


def _path(text: str) -> Path:
    return Path(text.replace("{{ inventory_dir }}", str(INVENTORY))).resolve()


def _install(wheels: Path, python_version: str, environment: Path) -> None:
    # It gets its name when it is whole, so that a killed run leaves nothing that looks finished.
    partial = environment.with_name(environment.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    uv = [str(ROOT / ".venv/bin/uv")]
    subprocess.run([*uv, "venv", "--quiet", "--no-python-downloads", "--python", python_version, partial], check=True)
    source = ["--no-index", "--no-deps", "--find-links", str(wheels)]
    source += ["--require-hashes", "-r", str(wheels / "requirements.txt")]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", partial / "bin/python", *source], check=True)
    partial.rename(environment)
