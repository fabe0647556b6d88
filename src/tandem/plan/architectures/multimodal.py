"""Models that see: a language model of a known family, and a vision tower."""

from __future__ import annotations

from dataclasses import dataclass

from tandem.plan.architectures.vision import Llama4Tower, QwenTower, SiglipTower, Tower
from tandem.plan.config import Config, key


def _qwen2_inner(config: Config) -> int:
    return int(config.number("embed_dim") * config.ratio("mlp_ratio", 4))


@dataclass(frozen=True)
class Wrapper:
    """Which language model a multimodal architecture has, and which tower."""

    text: str
    tower: Tower


_QWEN3 = QwenTower()
WRAPPERS: dict[str, Wrapper] = {
    "Qwen2VLForConditionalGeneration": Wrapper(
        "Qwen2ForCausalLM",
        QwenTower(width=key("embed_dim"), inner=_qwen2_inner, patch_bias=False, positions=False, patch_size=14),
    ),
    "Qwen2_5_VLForConditionalGeneration": Wrapper(
        "Qwen2ForCausalLM", QwenTower(gated=True, norm_bias=False, patch_bias=False, positions=False, patch_size=14)
    ),
    "Qwen3VLForConditionalGeneration": Wrapper("Qwen3ForCausalLM", _QWEN3),
    "Qwen3VLMoeForConditionalGeneration": Wrapper("Qwen3MoeForCausalLM", _QWEN3),
    "Qwen3_5ForConditionalGeneration": Wrapper("Qwen3_5ForCausalLM", _QWEN3),
    "Qwen3_5MoeForConditionalGeneration": Wrapper("Qwen3_5MoeForCausalLM", _QWEN3),
    "Gemma3ForConditionalGeneration": Wrapper("Gemma3ForCausalLM", SiglipTower()),
    "Llama4ForConditionalGeneration": Wrapper("Llama4ForCausalLM", Llama4Tower()),
}
