"""The document: what it says of fit, of speed and of other ways."""

import json
from pathlib import Path

import jsonschema
import pytest
from plan_models import COUNTED, DEEPSEEK_V3, LINK, LLAMA_70B, PAIR, QWEN35_122B, config, llama

import tandem.plan
from tandem.plan import table
from tandem.plan.plan import make_plan
from tandem.plan.request import GIB, Link, Nodes, Wishes

SCHEMA = json.loads((Path(tandem.plan.__file__).parent / "plan.schema.json").read_text())
MAMBA = next(case["config"] for case in COUNTED if case["name"] == "mamba")


def plan(values, nodes=PAIR, link=LINK, **given):
    return make_plan(config(values), nodes, link, Wishes(**({"max_model_len": 32768} | given)))


@pytest.mark.parametrize(
    ("values", "nodes"),
    [
        (llama(), PAIR),
        (LLAMA_70B, PAIR),
        (LLAMA_70B, Nodes(2, 1, 20 * GIB, 215e9)),
        (DEEPSEEK_V3, Nodes(4, 8, 141 * GIB, 4.8e12, 1e15)),
        (QWEN35_122B, Nodes(3, 2, 96 * GIB, 1.7e12)),
        (MAMBA, PAIR),
    ],
    ids=["8B", "70B", "70B too large", "DeepSeek", "Qwen", "Mamba"],
)
def test_schema_and_text(values, nodes):
    document = plan(values, nodes)
    jsonschema.validate(json.loads(json.dumps(document, allow_nan=False)), SCHEMA)
    text = table.render(document)
    assert document["architecture"] in text
    assert all(reason in text for reason in document["reasons"])
    assert set(document["flags"]) == set(document["flag_reasons"])
    assert sum(row.get("chosen", False) for row in document["alternatives"]) == 1


def test_every_key_says_what_it_counts():
    assert all(SCHEMA["properties"][name].get("description") for name in SCHEMA["required"])
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"])


def test_memory_adds_up():
    document = plan(LLAMA_70B)
    for rank in document["memory_per_rank"]:
        parts = ("weight", "activation", "communication", "reserve", "kv_cache")
        assert sum(rank[f"{part}_bytes"] for part in parts) == rank["total_bytes"]


def test_a_wanted_kv_cache_may_take_the_reserve_and_no_more():
    nodes = Nodes(1, 1, 24 * GIB, 215e9)
    assert plan(llama(), nodes, None, max_model_len=8192)["memory_per_rank"][0]["reserve_bytes"] == round(2.4 * GIB)
    wanted = plan(llama(), nodes, None, max_model_len=8192, kv_cache_memory_bytes=8 * GIB)
    assert wanted["fits"]
    (rank,) = wanted["memory_per_rank"]
    parts = ("weight", "activation", "communication", "reserve", "kv_cache")
    assert sum(rank[f"{part}_bytes"] for part in parts) == rank["total_bytes"]
    document = plan(llama(), nodes, None, max_model_len=8192, kv_cache_memory_bytes=10 * GIB)
    assert not document["fits"]
    assert document["memory_per_rank"][0]["missing_bytes"]
    (less,) = [change["value"] for change in document["nearest"] if change["change"] == "kv_cache_memory_bytes"]
    assert plan(llama(), nodes, None, max_model_len=8192, kv_cache_memory_bytes=less)["fits"]


def test_too_large_names_what_works():
    document = plan(LLAMA_70B, Nodes(1, 1, 108 * GIB, 215e9), None)
    assert not document["fits"]
    assert document["reasons"][0].startswith("does not fit:")
    changes = {change["change"]: change["value"] for change in document["nearest"]}
    assert changes == {"quantization": "fp8", "nodes": 2}
    assert plan(LLAMA_70B, Nodes(1, 1, 108 * GIB, 215e9), None, quantization="fp8")["fits"]


def test_too_long_names_the_length_that_fits():
    nodes = Nodes(1, 1, 22 * GIB, 215e9)
    document = plan(llama(), nodes, None, max_model_len=131072)
    assert not document["fits"]
    (longest,) = [change["value"] for change in document["nearest"] if change["change"] == "max_model_len"]
    assert plan(llama(), nodes, None, max_model_len=longest)["fits"]
    assert not plan(llama(), nodes, None, max_model_len=longest + 2048)["fits"]


def test_longer_than_the_model_was_made_for():
    document = plan(llama(), max_model_len=200000)
    assert not document["fits"]
    assert document["nearest"][0]["value"] == 131072


@pytest.mark.parametrize(
    ("scaling", "longest"),
    [
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 131072}, 524288),
        ({"type": "linear", "factor": 2.0}, 262144),
        ({"rope_type": "llama3", "factor": 8.0}, 131072),
        (None, 131072),
    ],
)
def test_stretched_contexts(scaling, longest):
    assert plan(llama(rope_scaling=scaling), max_model_len=None)["max_model_len"] == longest


def test_one_node_is_faster_than_a_slow_link():
    """A small model reads its weights faster than a slow link adds results up."""
    document = plan(llama(), link=Link(1e9 / 8, 1e-3))
    assert (document["tensor_parallel_size"], document["allreduce_share"]) == (1, 0)
    assert plan(llama(), link=LINK)["tensor_parallel_size"] == 2


def test_speed_follows_the_formula():
    """32 layers, two results of one token of 4096 numbers in 16 bits each."""
    document = plan(llama(), tensor_parallel_size=2)
    weights = (document["weight_bytes_per_rank"] - 2 * 128256 * 4096 / 2) / 215e9
    waiting = 64 * (5e-6 + 8192 / (54e9 / 8))
    assert document["decode_ceiling_tokens_per_s"] == pytest.approx(1 / (weights + waiting), rel=0.001)
    assert document["allreduce_share"] == pytest.approx(waiting / (weights + waiting), abs=0.001)


def test_pipeline_is_no_faster_for_one_answer():
    rows = {
        (row["tensor_parallel_size"], row["pipeline_parallel_size"]): row
        for row in plan(LLAMA_70B)["alternatives"]
        if "refused" not in row
    }
    assert rows[2, 1]["decode_ceiling_tokens_per_s"] > 1.9 * rows[1, 2]["decode_ceiling_tokens_per_s"]
    assert rows[1, 2]["throughput_ceiling_tokens_per_s"] > rows[1, 2]["decode_ceiling_tokens_per_s"]


def test_ranks_of_one_node_do_not_cross_the_link():
    document = plan(LLAMA_70B, Nodes(2, 8, 80 * 10**9, 3.35e12), tensor_parallel_size=8)
    assert document["allreduce_share"] == 0
    assert plan(LLAMA_70B, Nodes(2, 8, 80 * 10**9, 3.35e12), tensor_parallel_size=16)["allreduce_share"] > 0
    assert "the link between GPUs of one node is taken as free" in document["reasons"]


def test_computing_the_prompt_counts_if_it_is_known():
    without = plan(LLAMA_70B)["time_to_first_token_s"]
    nodes = Nodes(2, 1, 108 * GIB, 215e9, gpu_flops=50e12)
    assert plan(LLAMA_70B, nodes)["time_to_first_token_s"] > without + 30


def test_kv_cache_dtype_halves_the_cache():
    half = plan(LLAMA_70B, kv_cache_dtype="fp8")
    assert half["kv_bytes_per_token"] == 163840
    scheme = {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    assert plan(LLAMA_70B | {"quantization_config": scheme})["kv_cache_dtype"] == "fp8"


def test_dtype_of_the_config():
    assert plan(llama(torch_dtype="float32"))["dtype"] == "bfloat16"
    assert plan(llama(torch_dtype="float16"))["dtype"] == "float16"
    assert plan(llama(), dtype="float32")["kv_bytes_per_token"] == 2 * 131072


def test_text_only_leaves_the_tower_out():
    with_images, without = plan(QWEN35_122B), plan(QWEN35_122B, images=False)
    assert without["vision_weight_bytes"] == 0
    assert with_images["weight_bytes"] - without["weight_bytes"] == with_images["vision_weight_bytes"]


def test_layers_that_one_more_stage_gets():
    """What is left over goes to the stages before the last."""
    from tandem.plan.model import stage_layers

    assert stage_layers(61, 4) == [(0, 15), (15, 30), (30, 46), (46, 61)]
    assert stage_layers(10, 4) == [(0, 2), (2, 5), (5, 8), (8, 10)]
