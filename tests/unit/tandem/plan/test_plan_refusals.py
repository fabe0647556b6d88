"""What cannot be understood is refused, with the key or the option, what was found and what to do."""

import json
import math

import pytest
from plan_models import DEEPSEEK_V3, LINK, LLAMA_70B, PAIR, QWEN35_122B, config, llama

from tandem.errors import TandemError
from tandem.plan import config as configs
from tandem.plan.plan import make_plan
from tandem.plan.request import GIB, Link, Nodes, Wishes


def plan(values, nodes=PAIR, link=LINK, **given):
    return make_plan(config(values), nodes, link, Wishes(**({"max_model_len": 4096} | given)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architectures": ["NoSuchForCausalLM"]}, "architecture NoSuchForCausalLM is not understood"),
        ({"architectures": []}, "architectures is missing or empty"),
        ({"architectures": "LlamaForCausalLM"}, 'architectures is "LlamaForCausalLM"; it must be a list of texts'),
        ({"architectures": ...}, "architectures is missing or empty"),
        ({"hidden_size": ...}, "hidden_size or n_embd or d_model is missing"),
        ({"num_hidden_layers": ...}, "num_hidden_layers or n_layer"),
        ({"vocab_size": None}, "vocab_size is missing"),
        ({"hidden_size": -4096}, "hidden_size is -4096; it must be a whole number"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"hidden_size": True}, "hidden_size is true"),
        ({"hidden_size": "4096"}, 'hidden_size is "4096"'),
        ({"hidden_size": 4096.5}, "hidden_size is 4096.5"),
        ({"hidden_size": math.nan}, "hidden_size is NaN"),
        ({"hidden_size": 10**12}, "hidden_size is 1000000000000"),
        ({"hidden_size": [4096]}, "hidden_size is [4096]"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_key_value_heads": 5}, "32 attention heads cannot share 5 key-value heads"),
        ({"num_key_value_heads": 0}, "num_key_value_heads is 0"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7}, "num_attention_heads is 7; it must be a divisor of"),
        ({"tie_word_embeddings": "yes"}, 'tie_word_embeddings is "yes"; it must be true or false'),
        ({"torch_dtype": "int8"}, 'torch_dtype is "int8"; it must be one of bfloat16'),
        ({"max_position_embeddings": -1}, "max_position_embeddings is -1"),
        ({"rope_scaling": 3}, "rope_scaling is 3; it must be an object"),
        ({"quantization_config": {"quant_method": "magic"}}, "method 'magic' is not understood"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "'bitsandbytes' is not"),
        ({"quantization_config": []}, "quantization_config is []; it must be an object"),
        ({"layer_types": ["full_attention"], "sliding_window": 9}, "layer_types is"),
        ({"layer_types": ["odd"] * 32, "sliding_window": 9}, "not understood: odd"),
        ({"sliding_window": -5}, "sliding_window is -5"),
    ],
)
def test_configs(changes, said):
    with pytest.raises(TandemError) as error:
        plan(llama(**changes))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (DEEPSEEK_V3 | {"kv_lora_rank": 0}, "kv_lora_rank is 0"),
        (DEEPSEEK_V3 | {"num_experts_per_tok": 300}, "at most the number of experts, 256"),
        (QWEN35_122B | {"text_config": 7}, "text_config is 7; it must be an object"),
        (QWEN35_122B | {"vision_config": None}, "vision_config is missing"),
    ],
)
def test_other_families(values, said):
    with pytest.raises(TandemError, match=said):
        plan(values, tensor_parallel_size=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tensor_parallel_size": 3}, "--tensor-parallel-size is 3, and there are 2 GPUs"),
        ({"tensor_parallel_size": 0}, "--tensor-parallel-size is 0"),
        ({"tensor_parallel_size": 2, "pipeline_parallel_size": 2}, "2 x 2 ranks are more than the 2"),
        ({"max_model_len": 0}, "--max-model-len is 0"),
        ({"max_num_seqs": -1}, "--max-num-seqs is -1"),
        ({"gpu_memory_utilization": 1.5}, "--gpu-memory-utilization is 1.5"),
        ({"gpu_memory_utilization": math.nan}, "--gpu-memory-utilization is nan"),
        ({"dtype": "int4"}, "--dtype is 'int4'; choose one of"),
        ({"kv_cache_dtype": "fp3"}, "--kv-cache-dtype is 'fp3'"),
        ({"quantization": "gguf"}, "--quantization 'gguf' is not understood"),
        ({"block_size": 0}, "--block-size is 0"),
    ],
)
def test_wishes(given, said):
    with pytest.raises(TandemError) as error:
        plan(LLAMA_70B, **given)
    assert said in str(error.value)


def test_a_size_that_does_not_divide_names_those_that_do():
    with pytest.raises(TandemError, match=r"attention heads 64 does not divide by 3; .* are 1, 2, 4, 8 of up to 9"):
        plan(LLAMA_70B, Nodes(9, 1, 108 * GIB, 215e9), tensor_parallel_size=3)


@pytest.mark.parametrize(
    ("nodes", "link", "said"),
    [
        (Nodes(0, 1, GIB, 1e9), LINK, "--nodes is 0"),
        (Nodes(2, 1, GIB, 1e9), None, "give --link-gbit-per-s and --link-latency-usec"),
        (Nodes(1, 1, -GIB, 1e9), None, "--gpu-memory-gib"),
        (Nodes(1, 1, GIB, math.inf), None, "--memory-bandwidth-gb-per-s"),
        (Nodes(1, 1, GIB, 1e9, gpu_flops=0), None, "--gpu-tflops"),
        (PAIR, Link(0, 0), "--link-gbit-per-s"),
        (PAIR, Link(1e9, -1), "--link-latency-usec"),
    ],
)
def test_nodes_and_link(nodes, link, said):
    with pytest.raises(TandemError, match=said):
        plan(llama(), nodes, link)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GGUF\x03\x00", "is a GGUF file"),
        (b"", "is no JSON"),
        (b"[]", "holds a list, no object"),
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b'{"hidden_size": 1, "hidden_size": 2}', "the key 'hidden_size' stands twice"),
        (b'{"hidden_size": NaN}', "NaN is no number"),
        (b'{"a":' * 100_000, "is no JSON"),
    ],
)
def test_files(tmp_path, content, said):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(TandemError, match=said):
        configs.load(path)


def test_no_file_and_a_directory(tmp_path):
    with pytest.raises(TandemError, match="No such file"):
        configs.load(tmp_path / "missing.json")
    with pytest.raises(TandemError, match="is a directory"):
        configs.load(tmp_path)


def test_a_good_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(llama()))
    assert configs.load(path).number("hidden_size") == 4096
