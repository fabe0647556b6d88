"""Engines of an inventory: what is filled in, what is refused, and what makes no plan."""

import json
import re
from pathlib import Path

import pytest
import yaml
from plan_models import LLAMA_70B, llama

from tandem.plan import engines, summary
from tandem.plan.config import Config
from tandem.plan.engines import plan_engine
from tandem.plan.files import Files
from tandem.plan.request import Link

VERDICTS = Path(__file__).parents[3] / "fixtures/fabric"
FILES = Files(Config(LLAMA_70B, "config.json"))
PAIR = {node: {"plan_gpu_memory_gib": 108, "plan_memory_bandwidth_gb_per_s": 215} for node in ("strix1", "strix2")}
ENGINE = {"name": "main", "model": "m", "nodes": ["strix1", "strix2"]}
#: All that a plan says, chosen by the user.
FULL = {
    "tensor_parallel_size": 2, "pipeline_parallel_size": 1, "max_model_len": 4096, "max_num_seqs": 3,
    "max_num_batched_tokens": 512, "gpu_memory_utilization": 0.7, "kv_cache_memory_bytes": 2**30,
    "enable_prefix_caching": False, "dtype": "half", "kv_cache_dtype": "fp8",
}  # fmt: skip


def plan(changes=None, *, others=(), figures=PAIR, files=FILES):
    engine = ENGINE | (changes or {})
    return plan_engine(engine, [engine, *others], files, figures)


def test_what_is_left_out_is_filled_in():
    assert plan().filled == {
        "tensor_parallel_size": 2,
        "max_model_len": 131072,
        "max_num_seqs": 16,
        "max_num_batched_tokens": 2048,
        "gpu_memory_utilization": 0.9,
        "kv_cache_memory_bytes": 32977715200,
        "enable_prefix_caching": True,
        "dtype": "bfloat16",
    }


def test_the_labs_engine_says_it_all():
    lab = Path(__file__).parents[4] / "inventories/lab/group_vars"
    engine, *_ = yaml.safe_load((lab / "all/engines.yml").read_text())["vllm_engine_engines"]
    figures = yaml.safe_load((lab / "nodes/plan.yml").read_text())
    small = llama(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=12,
        num_key_value_heads=4,
        head_dim=64,
        vocab_size=49152,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        rope_scaling=...,
    )
    found = plan_engine(engine, [engine], Files(Config(small, "c")), dict.fromkeys(engine["nodes"], figures))
    assert found.document["fits"]
    assert found.filled == {}


def test_what_the_user_says_stays():
    found = plan(FULL)
    assert not found.filled
    assert found.document["max_model_len"] == 4096
    assert found.document["flags"]["dtype"] == "float16"


@pytest.mark.parametrize("name", sorted(FULL.keys() - {"kv_cache_dtype", "pipeline_parallel_size"}))
def test_each_option_is_filled_in_alone(name):
    given = {key: value for key, value in FULL.items() if key != name}
    # Beside a fixed KV cache a share of the memory has no effect.
    given |= {"kv_cache_memory_bytes": None} if name == "gpu_memory_utilization" else {}
    assert name in plan(given).filled


def test_the_same_in_extra_arguments_counts_as_said():
    found = plan({"extra_arguments": {"max-model-len": 8192, "no-enable-prefix-caching": True}})
    assert not {"max_model_len", "enable_prefix_caching"} & found.filled.keys()
    assert found.document["max_model_len"] == 8192
    assert found.document["flags"]["enable_prefix_caching"] is False


def test_numbers_of_the_command_line_are_texts():
    assert plan({"max_model_len": "4096", "gpu_memory_utilization": "0.7"}).document["max_model_len"] == 4096


def test_without_a_wanted_length_it_is_the_longest_that_fits():
    figures = {node: {"plan_gpu_memory_gib": 80} for node in PAIR}
    found = plan(figures=figures)
    assert found.document["fits"]
    longest = found.filled["max_model_len"]
    assert 4096 < longest < 131072
    assert plan({"max_model_len": longest + 2048}, figures=figures).refused


def test_no_gpu_stays_idle():
    assert plan({"nodes": ["strix1", "strix2"], "pipeline_parallel_size": 2}).document["tensor_parallel_size"] == 1
    four = {f"n{number}": {"plan_gpu_memory_gib": 108} for number in range(4)}
    found = plan({"nodes": list(four), "tensor_parallel_size": 2}, figures=four)
    assert found.filled["pipeline_parallel_size"] == 2
    three = dict(list(four.items())[:3])
    found = plan({"nodes": list(three)}, figures=three)
    assert (found.document["tensor_parallel_size"], found.filled["pipeline_parallel_size"]) == (1, 3)


@pytest.mark.parametrize(
    "link", [None, Link(1e6, 1.0), Link(54e9 / 8, 5e-6), Link(400e9 / 8, 1e-6)], ids=["none", "bad", "usual", "good"]
)
@pytest.mark.parametrize("bandwidth", [None, 10e9, 1700e9])
def test_no_speed_changes_what_is_filled_in(link, bandwidth):
    figures = {node: {"plan_gpu_memory_gib": 108} for node in PAIR}
    if link is not None:
        promise = {"plan_link_gbit_per_s": link.bytes_per_s * 8e-9, "plan_link_latency_usec": link.latency_s * 1e6}
        figures = {node: own | promise for node, own in figures.items()}
    if bandwidth is not None:
        figures = {node: own | {"plan_memory_bandwidth_gb_per_s": bandwidth / 1e9} for node, own in figures.items()}
    found = plan(figures=figures)
    assert found.filled == plan().filled
    if link and bandwidth:
        flags = engines.speed_of(found, FILES, link, bandwidth)["flags"]
        assert flags | found.filled == flags


def test_the_least_of_the_nodes_counts():
    figures = PAIR | {"strix2": {"plan_gpu_memory_gib": 90, "plan_memory_bandwidth_gb_per_s": 100}}
    found = plan(figures=figures)
    assert found.document["memory_per_rank"][0]["total_bytes"] == 90 * 2**30
    assert engines.bandwidth(ENGINE, figures) == 100e9
    assert engines.bandwidth(ENGINE, {"strix1": PAIR["strix1"], "strix2": {}}) is None


def test_engines_of_a_node_share_its_gpus_unless_there_are_enough():
    small = {"nodes": ["strix1"]}
    other = ENGINE | small | {"name": "other"}
    files = Files(Config(llama(), "config.json"))
    assert plan(small, files=files).filled["gpu_memory_utilization"] == 0.9
    assert plan(small, others=[other], files=files).filled["gpu_memory_utilization"] == 0.45
    two = {"strix1": PAIR["strix1"] | {"plan_gpus": 2}}
    assert plan(small, others=[other], figures=two, files=files).filled["gpu_memory_utilization"] == 0.9


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nodes": ["strix1"]}, "35.0 GiB are missing on a rank before any KV cache .* it fits on 2 such nodes"),
        ({"kv_cache_memory_bytes": 2**36}, "64.00 GiB of KV cache in 108.00 GiB; what works: it fits with 3297"),
        ({"max_model_len": 200000}, "vLLM refuses 200000 tokens: the model was made for 131072; what works: .* 131072"),
        ({"tensor_parallel_size": 4}, "^tensor_parallel_size is 4, and there are 2 GPUs"),
        ({"pipeline_parallel_size": 1, "tensor_parallel_size": 1}, "1 x 1 ranks leave some of the 2 GPUs idle"),
        ({"gpus_per_node": 3, "tensor_parallel_size": 6}, "tensor_parallel_size 6 cannot work: .* by 6"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_what_does(changes, said):
    found = plan(changes)
    assert found.refused
    assert not found.filled
    assert not found.skipped
    assert re.search(said, found.refused), found.refused


def test_more_gpus_than_a_node_has():
    figures = {node: own | {"plan_gpus": 1} for node, own in PAIR.items()}
    assert plan({"gpus_per_node": 2}, figures=figures).refused == "it wants 2 GPUs of strix1, which has 1 (plan_gpus)"


def test_if_nothing_near_works_the_memory_is_said_that_would():
    figures = {node: {"plan_gpu_memory_gib": 1} for node in PAIR}
    assert "GiB or more for each rank (plan_gpu_memory_gib)" in plan(figures=figures).refused


@pytest.mark.parametrize(
    ("changes", "figures", "files", "said"),
    [
        ({}, {}, FILES, "plan_gpu_memory_gib of strix1 is not given"),
        ({}, {"strix1": PAIR["strix1"]}, FILES, "plan_gpu_memory_gib of strix2 is not given"),
        ({}, PAIR, Files(missing="no config"), "no config"),
        ({}, PAIR, Files(Config(llama(architectures=["Odd"]), "config.json")), "Odd"),
        ({}, PAIR, Files(Config(llama(hidden_size="x"), "config.json")), 'hidden_size is "x"'),
        ({}, PAIR, Files(Config(llama(max_position_embeddings=...), "c")), "give max_model_len"),
        ({"extra_arguments": {"cpu-offload-gb": 4}}, PAIR, FILES, "extra_arguments has cpu-offload-gb"),
        ({"extra_arguments": {"max-model-len": "32k"}}, PAIR, FILES, "max_model_len is '32k'"),
        ({"max_model_len": True}, PAIR, FILES, "max_model_len is True"),
        ({"max_model_len": -1}, PAIR, FILES, "max_model_len is -1"),
        ({"gpu_memory_utilization": []}, PAIR, FILES, "gpu_memory_utilization is []"),
        ({"dtype": "int3"}, PAIR, FILES, "dtype is 'int3'"),
        ({}, {node: {"plan_gpu_memory_gib": -1} for node in PAIR}, FILES, "of strix1 is -1; it must be a number above"),
        ({}, {node: {"plan_gpu_memory_gib": "much"} for node in PAIR}, FILES, "is 'much'"),
        ({}, {node: {"plan_gpu_memory_gib": [1]} for node in PAIR}, FILES, "is [1]"),
        ({}, {node: {"plan_gpu_memory_gib": True} for node in PAIR}, FILES, "is True"),
    ],
)
def test_what_is_not_understood_makes_no_plan_and_says_why(changes, figures, files, said):
    found = plan(changes, figures=figures, files=files)
    assert said in found.skipped
    assert not found.refused
    assert not found.filled
    assert "\n" not in found.skipped
    assert summary.lines_of(found, "", None, "") == [f"main: no plan is made: {found.skipped}"]


def test_the_summary():
    found, link = plan(), Link(54e9 / 8, 5e-6)
    speed = engines.speed_of(found, FILES, link, 215e9)
    assert summary.lines_of(found, speed, link, "as promised") == [
        "main: fits; tensor parallel 2, pipeline parallel 1",
        "  context 131072 tokens: room for 1.5 sequences at once, max_num_seqs is 16",
        "  a rank has 108.00 GiB: 65.71 of weights, 30.71 of KV cache",
        "  one answer: at most 3.082 tokens/s, 0.4 % of it in all-reduces over the link (54 Gb/s, 5 usec, as promised)",
        (
            "  filled in: tensor_parallel_size 2, max_model_len 131072, max_num_seqs 16, max_num_batched_tokens 2048, "
            "gpu_memory_utilization 0.9, kv_cache_memory_bytes 32977715200, enable_prefix_caching true, dtype bfloat16"
        ),
    ]
    assert summary.lines_of(plan(FULL), "not known", None, "")[3:] == [
        "  one answer: not known",
        "  filled in: nothing was left out",
    ]


def test_a_measured_link_is_the_worst_of_what_was_seen():
    verdict = json.loads((VERDICTS / "healthy-roce.json").read_text())
    assert engines.measured_link([verdict], "link0", ["strix2", "strix1"]) == Link(53.87e9 / 8, pytest.approx(4.91e-6))
    assert engines.measured_link([verdict], "link1", ["strix1", "strix2"]) is None
    assert engines.measured_link([verdict], "link0", ["strix1", "strix2", "strix3"]) is None
    assert engines.measured_link([verdict | {"series": []}], "link0", ["strix1", "strix2"]) is None
    assert engines.measured_link([], "link0", ["strix1", "strix2"]) is None
