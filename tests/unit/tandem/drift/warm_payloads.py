"""Payloads as Ansible makes them, and how plain SSH runs them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[4]


@cache
def loaders():
    from ansible.plugins.loader import init_plugin_loader, module_loader, module_utils_loader

    init_plugin_loader()
    module_utils_loader.add_directory(str(ROOT / "plugins" / "module_utils"))
    module_loader.add_directory(str(ROOT / "plugins" / "modules"))
    return module_loader


def payload(module: str | Path, arguments: dict[str, object] | None = None, python: str = sys.executable) -> bytes:
    """Return what Ansible pipes into Python for a module of that name, or in that file."""
    from ansible.executor import module_common
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    by_name = loaders()
    path = by_name.find_plugin_with_context(module).plugin_resolved_path if isinstance(module, str) else str(module)
    return module_common.modify_module(
        module_name=module if isinstance(module, str) else module.stem,
        module_path=path,
        module_args=arguments or {},
        templar=Templar(loader=DataLoader(), variables={}),
        task_vars={"ansible_python_interpreter": python},
        module_compression="ZIP_DEFLATED",
    ).b_module_data


def command(python: str = sys.executable) -> str:
    """Return the command that Ansible pipes payloads into."""
    return f"/bin/sh -c '{python} && sleep 0'"


def plain(data: bytes) -> tuple[int, bytes, bytes]:
    """Run a payload as sshd would."""
    done = subprocess.run(["/bin/sh", "-c", command()], input=data, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr
