"""How long a context a model was made for."""

from __future__ import annotations

from tandem.plan.architectures.registry import text_section
from tandem.plan.config import Config
from tandem.plan.model import Model

#: Ways of scaling whose factor is in max_position_embeddings already.
_INCLUDED = {"default", "mrope", "llama3", "longrope", "su", "proportional"}


def longest_context(config: Config, model: Model) -> int | None:
    """Return the longest context that vLLM accepts: the model's positions, stretched if its config says so."""
    text = text_section(config)
    longest = model.max_positions
    section = text.section("rope_scaling", "rope_parameters")
    if longest is None or section is None:
        return longest
    kind = section.raw("rope_type") or section.raw("type") or "default"
    factor = section.raw("factor")
    if kind in _INCLUDED or isinstance(factor, bool) or not isinstance(factor, int | float) or factor <= 1:
        return longest
    original = section.raw("original_max_position_embeddings")
    if isinstance(original, int) and not isinstance(original, bool):
        return max(longest, int(original * factor))
    return int(longest * factor)
