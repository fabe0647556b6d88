"""The models that are compared: published ones, shrunken to a few megabytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[2] / "tests/fixtures/plan"


@dataclass(frozen=True)
class Family:
    """One model and the number of ranks that it is cut into."""

    title: str
    #: The name of the config among the planner's fixtures.
    case: str
    ranks: int = 1


#: Those with images are started for text, which leaves their vision tower out.
FAMILIES = (
    Family("Llama: grouped heads", "llama_gqa"),
    Family("Llama on two ranks", "llama_gqa", ranks=2),
    Family("Llama: 8-bit KV cache", "llama_gqa_fp8kv"),
    Family("Qwen 2: tied embeddings", "qwen2_tied"),
    Family("Qwen 3", "qwen3"),
    Family("Qwen 3 on two ranks", "qwen3", ranks=2),
    Family("Gemma 3: windows", "gemma3_text"),
    Family("gpt-oss: windows, experts", "gpt_oss"),
    Family("Phi 3", "phi3"),
    Family("Mixtral", "mixtral"),
    Family("Qwen 3 MoE", "qwen3moe"),
    Family("DeepSeek V3: latent", "deepseek_v3"),
    Family("Qwen3-Next: hybrid", "qwen3_next"),
    Family("Jamba: hybrid", "jamba"),
    Family("Mamba 2", "mamba2"),
    Family("Gemma 3 with images", "gemma3mm"),
    Family("Qwen 2.5 VL", "qwen25vl"),
    Family("Qwen 3.5: hybrid, images", "qwen3_5"),
)


@dataclass(frozen=True)
class Model:
    """A config and the types it is run with."""

    config: dict[str, Any]
    dtype: str
    kv_cache_dtype: str


def model_of(family: Family) -> Model:
    """Return the family's shrunken config."""
    files = sorted(FIXTURES.glob("vllm-*-measured.json")) + sorted(FIXTURES.glob("vllm-*-counted.json"))
    cases = {case["name"]: case for path in files for case in json.loads(path.read_text())}
    case = cases[family.case]
    return Model(case["config"], case.get("dtype", "bfloat16"), case.get("kv_dtype", "auto"))
