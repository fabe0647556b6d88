"""Our arithmetic against vLLM 0.32's own numbers.

``vllm-0.32-measured.json`` comes of engines that were started; ``vllm-0.32-counted.json`` of vLLM's own classes, built
without memory for their parameters, whose caches vLLM's own code then laid out. ``vllm-0.32-variants.json`` is the same
after one key of a config was turned round or left out.
"""

import copy

import pytest
from plan_models import BLOCK_TOKENS, COUNTED, KV_MEMORY_BYTES, LATENT_BLOCK_TOKENS, MEASURED, VARIANTS, config

from tandem.plan import kv
from tandem.plan.architectures import registry
from tandem.plan.plan import make_plan
from tandem.plan.request import GIB, Nodes, Wishes
from tandem.plan.subject import subject_of


def plan_like(case, tensor=1, batched_tokens=2048):
    """Plan as the run was made: one step on its way, and prompts shared except with latent attention."""
    latent = any(
        cache.kind == "latent" for layer in registry.build(config(case["config"])).layers for cache in layer.caches
    )
    return make_plan(
        config(case["config"]),
        Nodes(1, tensor, GIB, 1e9),
        None,
        Wishes(
            max_model_len=2048,
            max_num_seqs=8,
            max_num_batched_tokens=batched_tokens,
            dtype=case.get("dtype", "bfloat16"),
            kv_cache_dtype=case.get("kv_dtype", "auto"),
            recurrent_dtype=case.get("kv_bytes_fixed_per_sequence", {}).get("mamba_ssm_cache_dtype", "auto"),
            tensor_parallel_size=tensor,
            pipeline_parallel_size=1,
            kv_cache_memory_bytes=KV_MEMORY_BYTES,
            block_size=LATENT_BLOCK_TOKENS if latent else BLOCK_TOKENS,
            enable_prefix_caching=not latent,
            async_scheduling=False,
        ),
    )


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: case["name"])
def test_engines_that_were_started(case):
    ranks = case["tensor_parallel_size"]
    plan = plan_like(case, ranks, batched_tokens=1024)
    assert plan["weight_bytes_per_rank"] == case["weight_bytes"]
    assert plan["kv_bytes_per_token_per_rank"] == case["kv_bytes_per_token_full_attention"]
    assert plan["kv_capacity_tokens"] == case["kv_tokens_reported"]
    assert plan["kv_window"] == [
        {"window_tokens": each["window"], "bytes_per_token": each["bytes_per_token"]} for each in case["windowed"]
    ]
    assert plan["state_bytes_per_sequence"] == case["kv_bytes_fixed_per_sequence"]["state_bytes_one_copy"]


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case["name"])
def test_models_that_were_built(case):
    plan = plan_like(case)
    assert plan["weight_bytes"] == case["weight_bytes"]
    assert plan["weight_bytes_per_rank"] == case["weight_bytes"]
    assert plan["kv_bytes_per_token"] == case["kv_bytes_per_token"]
    assert plan["kv_window"] == case["kv_window"]
    assert plan["kv_capacity_tokens"] == case["kv_capacity_tokens"]


@pytest.mark.parametrize("case", [c for c in COUNTED if "weight_bytes_of_two" in c], ids=lambda case: case["name"])
def test_models_that_were_cut_in_two(case):
    plan = plan_like(case, 2)
    assert plan["weight_bytes_per_rank"] == case["weight_bytes_of_two"]
    assert plan["kv_capacity_tokens"] == case["kv_capacity_tokens_of_two"]


@pytest.mark.parametrize("case", VARIANTS, ids=lambda case: case["name"])
def test_a_key_turned_round_or_left_out(case):
    values = copy.deepcopy(next(other["config"] for other in COUNTED if other["name"] == case["of"]))
    section = values.get("text_config", values)
    for keys, changed, dropped in ((section, "set", "drop"), (values, "set_top", "drop_top")):
        keys.update(case.get(changed, {}))
        for name in case.get(dropped, ()):
            keys.pop(name, None)
    plan = plan_like(case | {"config": values})
    names = ("weight_bytes", "kv_bytes_per_token", "kv_window", "kv_capacity_tokens")
    assert {name: plan[name] for name in names} == {name: case[name] for name in names}


def test_every_family_was_compared():
    compared = {case["config"]["architectures"][0] for case in COUNTED + MEASURED}
    aliases = {"LLaMAForCausalLM", "ExaoneMoEForCausalLM"}
    assert set(registry.known()) - aliases == compared


def test_registry_lists_what_families_say():
    for name in registry.MODULES:
        assert name in registry.family_of(name).architectures


def test_state_of_hybrid_models_sets_the_block():
    """The attention block grows until one copy of the state has room in it."""
    case = next(case for case in MEASURED if case["name"] == "qwen3_next")
    fixed = case["kv_bytes_fixed_per_sequence"]
    subject = subject_of(config(case["config"]), Wishes(recurrent_dtype="float32", block_size=BLOCK_TOKENS))
    pages = {page for group in kv.groups_of(subject.model(1), subject.form) for _, page in group.pages}
    layers = sum(cache.kind == "state" for layer in subject.model(1).layers for cache in layer.caches)
    assert pages == {fixed["padded_one_copy"] // layers}
