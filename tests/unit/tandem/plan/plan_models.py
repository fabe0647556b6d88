"""Configs that are published, as far as they matter, and the nodes of the reference pair."""

import json
from pathlib import Path

from tandem.plan.config import Config
from tandem.plan.request import GIB, Link, Nodes, Wishes

FIXTURES = Path(__file__).parents[3] / "fixtures/plan"
MEASURED = json.loads((FIXTURES / "vllm-0.32-measured.json").read_text())
COUNTED = json.loads((FIXTURES / "vllm-0.32-counted.json").read_text())
VARIANTS = json.loads((FIXTURES / "vllm-0.32-variants.json").read_text())
#: Bytes of KV memory of every run in both files, and how they were run.
KV_MEMORY_BYTES = 100675641
#: The processor's blocks of these runs; those of latent attention are smaller.
BLOCK_TOKENS, LATENT_BLOCK_TOKENS = 128, 16

PAIR = Nodes(2, 1, 108 * GIB, 215e9)
LINK = Link(54e9 / 8, 5e-6)


def llama(**changes):
    """Llama 3.1 8B, or what the changes make of it."""
    values = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "torch_dtype": "bfloat16",
        "tie_word_embeddings": False,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
    }
    return {name: value for name, value in (values | changes).items() if value is not ...}


LLAMA_70B = llama(hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64)
LLAMA_405B = llama(hidden_size=16384, intermediate_size=53248, num_hidden_layers=126, num_attention_heads=128)
DEEPSEEK_V3 = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "topk_method": "noaux_tc",
    "num_nextn_predict_layers": 1,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
}
QWEN35_122B = {
    "architectures": ["Qwen3_5MoeForConditionalGeneration"],
    "text_config": {
        "hidden_size": 3072,
        "num_hidden_layers": 48,
        "full_attention_interval": 4,
        "num_attention_heads": 32,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 64,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4,
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 1024,
        "shared_expert_intermediate_size": 1024,
        "vocab_size": 248320,
        "max_position_embeddings": 262144,
        "mamba_ssm_dtype": "float32",
        "dtype": "bfloat16",
    },
    "vision_config": {
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_heads": 16,
        "out_hidden_size": 3072,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [],
    },
}


def config(values):
    return Config(values, "config.json")


def wishes(**given):
    return Wishes(**({"max_model_len": 8192} | given))
