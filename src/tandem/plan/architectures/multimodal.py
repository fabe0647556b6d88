"""Models that see: a language model of a known family, and a vision tower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tandem.plan.architectures.vision import ClipTower, Llama4Tower, PixtralTower, QwenTower, SiglipTower, Tower
from tandem.plan.config import Config, key


def _qwen2_inner(config: Config) -> int:
    return int(config.number("embed_dim") * config.ratio("mlp_ratio", 4))


@dataclass(frozen=True)
class Wrapper:
    """Which language model a multimodal architecture has, and which tower."""

    #: Its architecture, by the type that its section names if there are several.
    text: str | Mapping[str, str]
    tower: Tower
    #: Whether the head is the table, if the top of the config does not say.
    tied: bool = False
    #: Older configs say it in the language model's section.
    tied_by_text: bool = False

    def text_architecture(self, text: Config) -> str:
        """Return the architecture of the language model."""
        if isinstance(self.text, str):
            return self.text
        kind = text.word("model_type")
        if kind not in self.text:
            text.refuse("model_type", f"one of {', '.join(self.text)}; others were not verified with this tower")
        return self.text[kind]


_QWEN3 = QwenTower()
WRAPPERS: dict[str, Wrapper] = {
    "Qwen2VLForConditionalGeneration": Wrapper(
        "Qwen2ForCausalLM",
        QwenTower(width=key("embed_dim"), inner=_qwen2_inner, patch_bias=False, positions=False, patch_size=14),
        tied_by_text=True,
    ),
    "Qwen2_5_VLForConditionalGeneration": Wrapper(
        "Qwen2ForCausalLM",
        QwenTower(gated=True, norm_bias=False, patch_bias=False, positions=False, patch_size=14),
        tied_by_text=True,
    ),
    "Qwen3VLForConditionalGeneration": Wrapper("Qwen3ForCausalLM", _QWEN3),
    "Qwen3VLMoeForConditionalGeneration": Wrapper("Qwen3MoeForCausalLM", _QWEN3),
    "Qwen3_5ForConditionalGeneration": Wrapper("Qwen3_5ForCausalLM", _QWEN3),
    "Qwen3_5MoeForConditionalGeneration": Wrapper("Qwen3_5MoeForCausalLM", _QWEN3),
    "Gemma3ForConditionalGeneration": Wrapper("Gemma3ForCausalLM", SiglipTower(), tied=True),
    "Mistral3ForConditionalGeneration": Wrapper(
        {"mistral": "MistralForCausalLM", "ministral3": "Ministral3ForCausalLM"}, PixtralTower(), tied=True
    ),
    "LlavaForConditionalGeneration": Wrapper(
        {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"},
        ClipTower(),
        tied_by_text=True,
    ),
    "Llama4ForConditionalGeneration": Wrapper("Llama4ForCausalLM", Llama4Tower()),
}
