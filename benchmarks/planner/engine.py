"""One real engine in a process of its own, and what it says of itself."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.planner.compare import (
    BLOCK_TOKENS,
    KV_MEMORY_BYTES,
    MAX_MODEL_LEN,
    MAX_NUM_BATCHED_TOKENS,
    MAX_NUM_SEQS,
)
from benchmarks.planner.families import Model

INSIDE = Path(__file__).parent / "inside"
PROBE = INSIDE / "probe.py"
#: Starting takes half a minute; a machine with other work may need several.
TIMEOUT_SEC = 600

ENVIRONMENT = {
    "PYTHONPATH": str(INSIDE / "absent"),
    # Nothing is fetched, nothing is sent.
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    "TP_SOCKET_IFNAME": "lo",
    # The engine lives in the probe's process, where its settings can be read.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "TORCH_COMPILE_DISABLE": "1",
}

#: As Python prints an error, and as vLLM logs that of another process.
_ERROR = re.compile(
    r"^(?:\(.*?\) )?(?:ERROR .*?\] )?((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b: .*)$", flags=re.MULTILINE
)
_WRAPPER = re.compile(r"ValidationError|CalledProcessError|Error raised in subprocess|initialization failed")


class DidNotStart(Exception):
    """vLLM gave no engine of this model; says why."""


def settings_of(model: Model, directory: Path, ranks: int) -> dict[str, Any]:
    """Return the arguments of vLLM's engine: random weights, no tokenizer, no images."""
    images = {"limit_mm_per_prompt": {"image": 0, "video": 0}} if "vision_config" in model.config else {}
    return images | {
        "model": str(directory),
        "load_format": "dummy",
        "skip_tokenizer_init": True,
        "enforce_eager": True,
        "dtype": model.dtype,
        "kv_cache_dtype": model.kv_cache_dtype,
        "block_size": BLOCK_TOKENS,
        "kv_cache_memory_bytes": KV_MEMORY_BYTES,
        "max_model_len": MAX_MODEL_LEN,
        "max_num_seqs": MAX_NUM_SEQS,
        "max_num_batched_tokens": MAX_NUM_BATCHED_TOKENS,
        "tensor_parallel_size": ranks,
    }


def start(python: Path, model: Model, ranks: int) -> dict[str, Any]:
    """Start an engine, and return what the probe found in it. The engine is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tandem-plan-") as name:
        directory = Path(name)
        (directory / "config.json").write_text(json.dumps(model.config))
        given, found = directory / "settings.json", directory / "found.json"
        given.write_text(json.dumps(settings_of(model, directory, ranks)))
        output = _run([str(python), str(PROBE), str(given), str(found)], directory / "output")
        if not found.exists():
            raise DidNotStart(reason_of(output))
        document: dict[str, Any] = json.loads(found.read_text())
        return document


def _run(command: list[str], output: Path) -> str:
    """Run to the end or the timeout, ranks included, and return what was printed."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env=os.environ | ENVIRONMENT, start_new_session=True
        )
        try:
            process.wait(TIMEOUT_SEC)
        except subprocess.TimeoutExpired:
            stream.write(f"\nTimeoutError: no engine within {TIMEOUT_SEC} s\n".encode())
        finally:
            # Ranks are processes of the same session, and may outlive the one that started them.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return output.read_text(errors="replace")


def reason_of(output: str) -> str:
    """Return the last error that says more than that there was one before it."""
    errors = [error for error in _ERROR.findall(output) if not _WRAPPER.search(error)]
    lines = errors or output.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
