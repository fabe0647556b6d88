"""The examples of the article that this project grew from, with its errors put right and named."""

import pytest
from plan_models import DEEPSEEK_V3, LINK, LLAMA_70B, LLAMA_405B, PAIR, QWEN35_122B, config, llama

from tandem.plan import speed
from tandem.plan.plan import make_plan
from tandem.plan.request import GIB, Link, Nodes, Wishes
from tandem.plan.subject import subject_of

KIB = 1024
#: Eight cards of 80 GB on each node, and a network of 400 Gbit/s.
CARDS = Nodes(2, 8, 80 * 10**9, 3.35e12)
FAST = Link(50e9, 3e-6)


def plan(values, nodes=PAIR, link=LINK, **given):
    return make_plan(config(values), nodes, link, Wishes(**({"max_model_len": 32768} | given)))


@pytest.mark.parametrize(
    ("values", "billions", "kib_per_token"),
    [(llama(), 8.03, 128), (LLAMA_70B, 70.55, 320), (LLAMA_405B, 405.85, 504)],
    ids=["8B", "70B", "405B"],
)
def test_llama(values, billions, kib_per_token):
    """405B has 8 KV heads in its final form, of 16384 / 128 = 128 numbers: 504 KiB in 126 layers."""
    found = plan(values, tensor_parallel_size=1)
    assert found["parameters"] / 1e9 == pytest.approx(billions, abs=0.01)
    assert found["kv_bytes_per_token"] == kib_per_token * KIB


def test_70b_at_128k_is_40_gib_in_all():
    """The article's 320 KiB per token are of the whole model; each of two ranks holds half."""
    found = plan(LLAMA_70B, tensor_parallel_size=2)
    assert found["kv_bytes_per_token"] * 131072 == 40 * GIB
    assert found["kv_bytes_per_token_per_rank"] == 160 * KIB


def test_two_nodes_of_the_reference_pair():
    """Error: the article says that 70B fits, not how slow it is: each token reads 65.7 GiB on each node."""
    found = plan(LLAMA_70B)
    assert (found["fits"], found["tensor_parallel_size"]) == (True, 2)
    assert found["decode_ceiling_tokens_per_s"] == pytest.approx(3, rel=0.05)
    assert not plan(LLAMA_70B, nodes=Nodes(1, 1, 108 * GIB, 215e9), link=None)["fits"]


def test_two_all_reduces_per_layer():
    """Error: the article has one before the second matrix too; that matrix is cut by rows, so none is needed."""
    assert speed.all_reduces(subject_of(config(LLAMA_70B), Wishes()).model(2)) == 2 * 80


def test_405b_needs_sixteen_cards():
    """Error: "10 to 11 GPUs" cannot share 128 heads; 810 GB of BF16 weights need 8 x 2."""
    refused = {
        row["tensor_parallel_size"]: row for row in plan(LLAMA_405B, Nodes(16, 1, 80 * 10**9, 3.35e12))["alternatives"]
    }
    assert all("refused" in refused[ranks] for ranks in (10, 11))
    assert not plan(LLAMA_405B, Nodes(1, 8, 80 * 10**9, 3.35e12), None)["fits"]
    found = plan(LLAMA_405B, CARDS, FAST, tensor_parallel_size=8)
    assert (found["fits"], found["pipeline_parallel_size"]) == (True, 2)


def test_deepseek_v3_ships_fp8():
    """Error: counted in BF16 it has 1.34 TB; its files are FP8 in blocks of 128 x 128, half of that."""
    found = plan(DEEPSEEK_V3, CARDS, FAST, tensor_parallel_size=1, pipeline_parallel_size=1)
    assert found["parameters"] / 1e9 == pytest.approx(671, abs=0.5)
    assert found["active_parameters"] / 1e9 == pytest.approx(37, abs=1)
    assert found["weight_bytes"] / 1e9 == pytest.approx(673, abs=2)


def test_deepseek_keeps_one_latent_vector_per_token():
    """Error: 2 x heads x head size would be 4 MB; it is (512 + 64) x 2 bytes x 61 layers, whole on every rank."""
    found = plan(DEEPSEEK_V3, CARDS, FAST, tensor_parallel_size=16)
    assert found["kv_bytes_per_token"] == 576 * 2 * 61
    assert found["kv_bytes_per_token_per_rank"] == found["kv_bytes_per_token"]


def test_qwen_122b_grows_in_every_fourth_layer_only():
    """Error: all 48 layers counted as attention make 96 KiB; 12 of them are, and 36 keep a state of fixed size."""
    found = plan(QWEN35_122B)
    assert found["kv_bytes_per_token"] == 24 * KIB
    assert found["state_bytes_per_sequence"] > 0
    assert found["parameters"] / 1e9 == pytest.approx(122, rel=0.03)
    assert found["active_parameters"] / 1e9 == pytest.approx(10, rel=0.2)


def test_few_active_parameters_are_what_such_boxes_are_good_at():
    assert (
        plan(QWEN35_122B, max_num_seqs=1, tensor_parallel_size=2)["decode_ceiling_tokens_per_s"]
        > 5 * (plan(LLAMA_70B, max_num_seqs=1)["decode_ceiling_tokens_per_s"])
    )
