"""Bytes of weights: of files, and of quantised checkpoints."""

import json
import struct

import pytest
from plan_models import DEEPSEEK_V3, LINK, PAIR, config, llama

from tandem.errors import TandemError
from tandem.plan import weights
from tandem.plan.plan import make_plan
from tandem.plan.request import Wishes

#: Rows that are added to 1001 of the vocabulary, of 64 numbers in 16 bits, in two tables.
SMALL = llama(
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=1001,
)
PADDING = 2 * 23 * 64 * 2
PLAIN = make_plan(config(SMALL), PAIR, LINK, Wishes(max_model_len=4096, tensor_parallel_size=1))["weight_bytes"]


def plan(values, path=None, **given):
    wishes = Wishes(**({"max_model_len": 4096, "tensor_parallel_size": 1} | given))
    return make_plan(config(values), PAIR, LINK, wishes, weights.read(path) if path else None)


def index(tmp_path, total):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": {}}))
    return path


def safetensors(path, sizes):
    header, start = {"__metadata__": {"format": "pt"}}, 0
    for name, size in sizes.items():
        header[name] = {"dtype": "BF16", "shape": [size // 2], "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    return path


def test_an_index_is_exact(tmp_path):
    assert plan(SMALL, index(tmp_path, PLAIN - PADDING))["weight_bytes"] == PLAIN
    assert plan(SMALL, index(tmp_path, PLAIN - PADDING + 100))["weight_bytes"] == PLAIN + 100


def test_an_index_of_another_model_is_told(tmp_path):
    reasons = plan(SMALL, index(tmp_path, 2 * PLAIN))["reasons"]
    assert any("look whether both are of one model" in reason for reason in reasons)


def test_headers_tell_what_is_not_loaded(tmp_path):
    sizes = {
        "model.layers.0.a": PLAIN - PADDING - 1000,
        "model.embed_tokens.weight": 1000,
        "model.layers.2.speculation": 5000,
        "model.layers.0.self_attn.rotary_emb.inv_freq": 64,
        "mtp.norm.weight": 128,
    }
    file = safetensors(tmp_path / "model-00001-of-00001.safetensors", sizes)
    assert plan(SMALL, file)["weight_bytes"] == PLAIN
    assert plan(SMALL, tmp_path)["weight_bytes"] == PLAIN


def test_unknown_quantisation_needs_the_files(tmp_path):
    values = SMALL | {"quantization_config": {"quant_method": "magic"}}
    with pytest.raises(TandemError, match=r"exact bytes by --weights"):
        plan(values)
    found = plan(values, index(tmp_path, PLAIN // 3))
    assert found["weight_bytes"] == pytest.approx(PLAIN // 3 + PADDING, abs=2)
    assert found["quantization"] == "magic"


@pytest.mark.parametrize("total", [None, -1, 0, "many", True, 1.5])
def test_an_index_without_a_size(tmp_path, total):
    with pytest.raises(TandemError, match=r"metadata\.total_size is"):
        weights.read(index(tmp_path, total))


@pytest.mark.parametrize("content", [b"", b"short", struct.pack("<Q", 10**15) + b"{}", struct.pack("<Q", 2) + b"[]"])
def test_a_broken_safetensors_file(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(TandemError, match="is no safetensors file"):
        weights.read(path)


def test_a_directory_without_weights(tmp_path):
    with pytest.raises(TandemError, match=r"holds no \*.safetensors"):
        weights.read(tmp_path)


def matrices(layers=2, hidden=64, inner=128, kv=32):
    return layers * (hidden * (hidden + 2 * kv) + hidden * hidden + 3 * hidden * inner)


@pytest.mark.parametrize(
    ("scheme", "bytes_per_weight"),
    [
        ({"quant_method": "fp8"}, 1),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, 0.5 + 2.5 / 64),
        ({"quant_method": "gptq", "bits": 8, "group_size": 64, "desc_act": True}, 1 + 3 / 64),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "targets": ["Linear"],
                        "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 64},
                    }
                },
            },
            0.5 + 2 / 64,
        ),
    ],
    ids=lambda value: value["quant_method"] if isinstance(value, dict) else "",
)
def test_quantised_checkpoints(scheme, bytes_per_weight):
    """Tables, norms and the head stay in 16 bits."""
    found = plan(SMALL | {"quantization_config": scheme})["weight_bytes"]
    assert found == pytest.approx(PLAIN - matrices() * (2 - bytes_per_weight), rel=0.01)


@pytest.mark.parametrize(
    ("names", "understood"),
    [
        (["lm_head", "model.layers.0.mlp.gate", "re:.*gate$", "model.visual.blocks.0.attn.qkv"], True),
        (["model.layers.0.input_layernorm"], True),
        (["re:.*self_attn.*"], False),
        (["model.layers.3.mlp.down_proj"], False),
    ],
)
def test_matrices_that_stay_whole(names, understood):
    values = SMALL | {"quantization_config": {"quant_method": "fp8", "modules_to_not_convert": names}}
    if understood:
        assert plan(values)["quantization"] == "fp8"
    else:
        with pytest.raises(TandemError, match=r"exact bytes by --weights"):
            plan(values)


GPT_OSS = {
    "architectures": ["GptOssForCausalLM"],
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "vocab_size": 201088,
    "sliding_window": 128,
    "max_position_embeddings": 131072,
    "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
}


def test_gpt_oss_as_it_is_published():
    """116.8 billion parameters, 5.1 of them active, in 65.2 GB of files."""
    found = plan(GPT_OSS)
    assert found["parameters"] / 1e9 == pytest.approx(116.8, abs=0.1)
    assert found["active_parameters"] / 1e9 == pytest.approx(5.1, abs=0.1)
    assert found["weight_bytes"] / 1e9 == pytest.approx(65.2, abs=0.2)


def test_quantised_already():
    with pytest.raises(TandemError, match="quantised already"):
        plan(DEEPSEEK_V3, quantization="fp8")


@pytest.mark.parametrize("groups", [None, {}, {"a": 1}, {"a": {"targets": ["re:odd"], "weights": {"num_bits": 4}}}])
def test_compressed_tensors_that_are_not_understood(groups):
    with pytest.raises(TandemError, match="not understood as it stands"):
        plan(SMALL | {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": groups}})
