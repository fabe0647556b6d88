"""What turns text into vectors: the contract, and how it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class EmbeddingFailed(Exception):
    """There are no vectors.

    Attributes:
        reason: A short word, for metrics.
        down: Whether it would be the same for any other text.
    """

    def __init__(self, reason: str, message: str, *, down: bool = True) -> None:
        super().__init__(message)
        self.reason = reason
        self.down = down


class Embedder(Protocol):
    """A model of embeddings."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a row of length 1 for each text, or of zeros where there is nothing to say. Raises EmbeddingFailed."""
        ...

    async def close(self) -> None:
        """Stop everything that was started."""
        ...


def normalized(vectors: Vectors) -> Vectors:
    """Return rows of length 1; rows of zeros stay."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
