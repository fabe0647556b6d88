"""Embeddings from an API as OpenAI's: /v1/embeddings of a vLLM engine with a pooling model, or of a cloud."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np

from tandem.errors import TandemError
from tandem.router.calls import CallFailed
from tandem.router.config.values import default_port
from tandem.router.routing.embedder import EmbeddingFailed, normalized

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tandem.router.config.general import EmbeddingEndpoint
    from tandem.router.routing.embedder import Vectors
    from tandem.router.routing.fetch import Fetch

#: Candidates are sent in parts of this many.
_TEXTS_PER_CALL = 64
_FIRST_PAUSE_SEC = 0.1
#: What is about this text alone; anything else would happen to all.
_ABOUT_THE_TEXT = (400, 413, 422)


class RemoteEmbedder:
    """An endpoint of the configuration."""

    def __init__(self, endpoint: EmbeddingEndpoint, environ: Mapping[str, str], fetch: Fetch) -> None:
        self.url = _url(endpoint)
        self._endpoint = endpoint
        self._fetch = fetch
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if endpoint.api_key_env:
            key = environ.get(endpoint.api_key_env, "").strip()
            if not key:
                raise TandemError(
                    f"global.model_catalog.embeddings.semantic.endpoint.api_key_env: the variable "
                    f"{endpoint.api_key_env} is not set; put the key of {self.url} into it"
                )
            self._headers["authorization"] = f"Bearer {key}"

    async def close(self) -> None:
        """Do nothing: connections belong to whoever handed in how to fetch."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each text. Raises EmbeddingFailed."""
        parts = [texts[start : start + _TEXTS_PER_CALL] for start in range(0, len(texts), _TEXTS_PER_CALL)]
        rows = [await self._embed(part) for part in parts]
        if len({part.shape[1] for part in rows}) > 1:
            raise self._failed("garbage", "vectors of different lengths")
        return normalized(np.concatenate(rows))

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        content: dict[str, object] = {"model": self._endpoint.model, "input": list(texts), "encoding_format": "float"}
        if self._endpoint.dimensions:
            content["dimensions"] = self._endpoint.dimensions
        body = json.dumps(content).encode()
        for attempt in range(self._endpoint.max_retries, -1, -1):
            try:
                return self._read(*await self._post(body), len(texts))
            except EmbeddingFailed as error:
                if not attempt or not error.down or error.reason in ("garbage", "too_large"):
                    raise
            await asyncio.sleep(_FIRST_PAUSE_SEC * 2 ** (self._endpoint.max_retries - attempt))
        raise AssertionError("the last attempt returns or raises")

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        try:
            return await self._fetch(
                self.url,
                body=body,
                headers=self._headers,
                timeout_sec=self._endpoint.timeout_seconds,
                max_bytes=self._endpoint.max_response_bytes,
            )
        except CallFailed as error:
            raise self._failed(error.failure, str(error)) from None
        except OSError as error:
            raise self._failed("connect", str(error)) from None

    def _read(self, status: int, answer: bytes, count: int) -> Vectors:
        if status != 200:
            raise self._failed("status", f"status {status}", down=status not in _ABOUT_THE_TEXT)
        try:
            data = json.loads(answer)["data"]
            ordered = sorted(data, key=lambda entry: entry["index"])
            vectors = np.array([entry["embedding"] for entry in ordered], dtype=np.float32)
            places = [entry["index"] for entry in ordered]
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError):
            raise self._failed("garbage", "an answer that has no embeddings") from None
        if places != list(range(count)) or vectors.ndim != 2 or not vectors.shape[1]:
            raise self._failed("garbage", f"an answer that has no embeddings of {count} texts")
        if self._endpoint.dimensions not in (None, vectors.shape[1]):
            raise self._failed("garbage", f"{vectors.shape[1]} dimensions, not {self._endpoint.dimensions}")
        if not np.isfinite(vectors).all():
            raise self._failed("garbage", "embeddings that are not finite numbers")
        return vectors

    def _failed(self, reason: str, what: str, *, down: bool = True) -> EmbeddingFailed:
        return EmbeddingFailed(reason, f"embeddings of {self.url}: {what}", down=down)


def _url(endpoint: EmbeddingEndpoint) -> str:
    address = endpoint.base_url
    scheme = address.scheme or "http"
    host = f"[{address.host}]" if ":" in address.host else address.host
    path = address.path if address.path.endswith("/embeddings") else f"{address.path}/embeddings"
    return f"{scheme}://{host}:{address.port or default_port(scheme)}{path}"
