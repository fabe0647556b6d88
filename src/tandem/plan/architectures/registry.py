"""From the name of an architecture to the model it means."""

from __future__ import annotations

import importlib
from dataclasses import replace

from tandem.errors import TandemError
from tandem.plan.architectures.family import Family
from tandem.plan.config import Config
from tandem.plan.model import Model

#: Which module knows a family: only that is imported, as a plan is asked for while somebody waits.
MODULES: dict[str, str] = {
    "AfmoeForCausalLM": "experts",
    "ApertusForCausalLM": "dense",
    "ArceeForCausalLM": "dense",
    "BloomForCausalLM": "older",
    "Cohere2ForCausalLM": "dense",
    "CohereForCausalLM": "dense",
    "CwmForCausalLM": "dense",
    "DeepseekV2ForCausalLM": "latent",
    "DeepseekV32ForCausalLM": "latent",
    "DeepseekV3ForCausalLM": "latent",
    "Dots1ForCausalLM": "experts",
    "Ernie4_5ForCausalLM": "dense",
    "Ernie4_5_MoeForCausalLM": "experts",
    "Exaone4ForCausalLM": "dense",
    "ExaoneMoEForCausalLM": "experts",
    "ExaoneMoeForCausalLM": "experts",
    "FalconForCausalLM": "older",
    "FalconH1ForCausalLM": "hybrid",
    "FalconMambaForCausalLM": "hybrid",
    "FlexOlmoForCausalLM": "experts",
    "GPT2LMHeadModel": "older",
    "GPTBigCodeForCausalLM": "older",
    "GPTJForCausalLM": "older",
    "GPTNeoXForCausalLM": "older",
    "Gemma2ForCausalLM": "dense",
    "Gemma3ForCausalLM": "dense",
    "Gemma3nForCausalLM": "gemma3n",
    "GemmaForCausalLM": "dense",
    "Glm4ForCausalLM": "dense",
    "Glm4MoeForCausalLM": "experts",
    "Glm4MoeLiteForCausalLM": "latent",
    "GlmForCausalLM": "dense",
    "GptOssForCausalLM": "experts",
    "GraniteForCausalLM": "dense",
    "GraniteMoeForCausalLM": "experts",
    "GraniteMoeHybridForCausalLM": "hybrid",
    "GraniteMoeSharedForCausalLM": "experts",
    "HunYuanDenseV1ForCausalLM": "dense",
    "HunYuanMoEV1ForCausalLM": "experts",
    "HyperCLOVAXForCausalLM": "dense",
    "Jais2ForCausalLM": "dense",
    "JambaForCausalLM": "hybrid",
    "LLaMAForCausalLM": "dense",
    "Lfm2ForCausalLM": "hybrid",
    "Lfm2MoeForCausalLM": "hybrid",
    "Llama4ForCausalLM": "experts",
    "LlamaForCausalLM": "dense",
    "Mamba2ForCausalLM": "hybrid",
    "MambaForCausalLM": "hybrid",
    "MellumForCausalLM": "experts",
    "MiniCPM3ForCausalLM": "latent",
    "MiniMaxM2ForCausalLM": "experts",
    "Ministral3ForCausalLM": "dense",
    "MistralForCausalLM": "dense",
    "MixtralForCausalLM": "experts",
    "NemotronForCausalLM": "dense",
    "NemotronHForCausalLM": "hybrid",
    "OPTForCausalLM": "older",
    "Olmo2ForCausalLM": "dense",
    "Olmo3ForCausalLM": "dense",
    "OlmoForCausalLM": "dense",
    "OlmoeForCausalLM": "experts",
    "Phi3ForCausalLM": "dense",
    "PhiForCausalLM": "dense",
    "PhiMoEForCausalLM": "experts",
    "Qwen2ForCausalLM": "dense",
    "Qwen2MoeForCausalLM": "experts",
    "Qwen3ForCausalLM": "dense",
    "Qwen3MoeForCausalLM": "experts",
    "Qwen3NextForCausalLM": "hybrid",
    "Qwen3_5ForCausalLM": "hybrid",
    "Qwen3_5MoeForCausalLM": "hybrid",
    "SeedOssForCausalLM": "dense",
    "SmolLM3ForCausalLM": "dense",
    "SolarOpenForCausalLM": "experts",
    "StableLmForCausalLM": "dense",
    "Starcoder2ForCausalLM": "dense",
    "VaultGemmaForCausalLM": "dense",
    "YoutuForCausalLM": "latent",
}
#: Architectures with a language model of a known family and a vision tower.
MULTIMODAL = (
    "Gemma3ForConditionalGeneration",
    "Llama4ForConditionalGeneration",
    "LlavaForConditionalGeneration",
    "Mistral3ForConditionalGeneration",
    "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3VLForConditionalGeneration",
    "Qwen3VLMoeForConditionalGeneration",
    "Qwen3_5ForConditionalGeneration",
    "Qwen3_5MoeForConditionalGeneration",
)


def family_of(name: str) -> Family:
    """Return the family of an architecture that is known."""
    module = importlib.import_module(f"tandem.plan.architectures.{MODULES[name]}")
    families: tuple[Family, ...] = module.FAMILIES
    return next(family for family in families if name in family.architectures)


def architecture_of(config: Config) -> str:
    """Return the architecture that a config names."""
    names = config.words("architectures")
    if not names:
        raise TandemError(
            f"{config.where}: architectures is missing or empty, and vLLM chooses its code by it; take the config.json "
            "that lies beside the weights"
        )
    return names[0]


def known() -> list[str]:
    """Return the names of all architectures that are understood."""
    return sorted([*MODULES, *MULTIMODAL])


def text_section(config: Config) -> Config:
    """Return the section of the language model: nested in multimodal configs."""
    return config.section("text_config") or config


def build(config: Config, ranks: int = 1, *, images: bool = True) -> Model:
    """Return the model that a config describes, as one of ``ranks`` holds it."""
    name = architecture_of(config)
    if name in MODULES:
        return family_of(name).build(text_section(config), name, ranks)
    if name in MULTIMODAL:
        return _build_multimodal(config, name, ranks, images=images)
    raise TandemError(
        f"{config.where}: the architecture {name} is not understood, so its memory is not guessed; "
        f"known are {', '.join(known())}"
    )


def _build_multimodal(config: Config, name: str, ranks: int, *, images: bool) -> Model:
    from tandem.plan.architectures.multimodal import WRAPPERS

    wrapper, text = WRAPPERS[name], text_section(config)
    # Whatever the language model's section says, vLLM goes by the top.
    tied = config.flag("tie_word_embeddings", wrapper.tied)
    if wrapper.tied_by_text:
        tied = tied or text.flag("tie_word_embeddings")
    model = family_of(wrapper.text_architecture(text)).build(text, name, ranks, tied=tied)
    vision = config.section("vision_config")
    if not images:
        return model
    if vision is None:
        raise TandemError(
            f"{config.where}: {name} has a vision tower, and vision_config is missing; take the config.json that lies "
            "beside the weights, or plan with --text-only"
        )
    return replace(model, vision=wrapper.tower.build(vision, config, model.hidden_size, ranks))
