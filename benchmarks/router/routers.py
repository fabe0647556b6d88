"""The routers: how each is installed, configured and started."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/benchmarks/router"


@dataclass(frozen=True)
class Router:
    """One of those compared.

    Attributes:
        title: In the tables.
        command: From its port, the stub's port and a directory for its files to what is run.
        package: What is installed for it, into an environment of its own.
        ready: A path that is answered once it runs.
    """

    title: str
    command: Callable[[int, int, Path], list[str]]
    package: str = ""
    ready: str = "/health"
    environment: Mapping[str, str] = field(default_factory=dict)

    def install(self) -> None:
        """Make its environment, if there is none."""
        if self.package and not _home(self.package).is_dir():
            partial = CACHE / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            uv = str(ROOT / ".venv/bin/uv")
            subprocess.run([uv, "venv", "--quiet", "--no-python-downloads", "--python", "3.11", partial], check=True)
            subprocess.run(
                [
                    uv,
                    "pip",
                    "install",
                    "--quiet",
                    "--compile-bytecode",
                    "--python",
                    partial / "bin/python",
                    self.package,
                ],
                check=True,
            )
            partial.rename(_home(self.package))


def _home(package: str) -> Path:
    return CACHE / package.replace("[", "-").replace("]", "").replace("==", "-")


_VLLM_ROUTER, _LITELLM = "vllm-router==0.1.17", "litellm[proxy]==1.108.7"


def _ours(port: int, stub: int, directory: Path) -> list[str]:
    listener = {"name": "http", "address": "127.0.0.1", "port": port, "timeout": "300s"}
    model = {"name": "stub", "backend_refs": [{"name": "stub", "endpoint": f"127.0.0.1:{stub}"}]}
    config = {"version": "v0.3", "listeners": [listener], "providers": {"models": [model]}}
    path = directory / "router.yaml"
    path.write_text(json.dumps(config))
    return [str(ROOT / ".venv/bin/tandem"), "router", "serve", str(path), "--log-format", "json"]


def _vllm_router(port: int, stub: int, directory: Path) -> list[str]:  # noqa: ARG001 - like the others
    # Not its console script: that has the path of the environment before it was renamed.
    module = [str(_home(_VLLM_ROUTER) / "bin/python"), "-m", "vllm_router.launch_router"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{stub}"]
    return [*module, *where, "--policy", "round_robin", "--log-level", "warning"]


def _litellm(port: int, stub: int, directory: Path) -> list[str]:
    parameters = {"model": "openai/stub", "api_base": f"http://127.0.0.1:{stub}/v1", "api_key": "sk-stub"}
    config = {"model_list": [{"model_name": "stub", "litellm_params": parameters}]}
    path = directory / "litellm.yaml"
    path.write_text(json.dumps(config))
    start = "from litellm import run_server; run_server()"
    python = str(_home(_LITELLM) / "bin/python")
    return [
        python,
        "-c",
        start,
        "--config",
        str(path),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]


OURS = Router("ours", _ours)
ROUTERS = (
    OURS,
    Router("vllm-router", _vllm_router, _VLLM_ROUTER),
    Router(
        "litellm",
        _litellm,
        _LITELLM,
        ready="/health/liveliness",
        environment={
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it asks the network for prices
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # without keys, as the others run
        },
    ),
)
