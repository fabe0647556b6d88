"""Other engines than the inventory's: alone on a node, and over both without Ray, held together by the supervisors."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab

ENGINE = {
    "name": "smollm2", "model": "smollm2-135m-instruct", "served_model_name": "smollm2", "nodes": ["node1", "node2"],
    "tensor_parallel_size": 2, "executor": "mp", "port": 8000, "dtype": "bfloat16", "max_model_len": 1024,
    "max_num_seqs": 8, "max_num_batched_tokens": 1024, "enforce_eager": True, "kv_cache_memory_bytes": 67108864,
}  # fmt: skip
VARIABLES = {"vllm_engine_engines": [ENGINE]}


def test_greedy_output_is_the_same_with_two_ranks_and_with_one() -> None:
    """In float32, where the order of additions cannot turn a choice: eight prompts, the same tokens."""
    base = {
        "model": "smollm2-135m-instruct", "dtype": "float32", "max_model_len": 512, "max_num_seqs": 2,
        "max_num_batched_tokens": 512, "enforce_eager": True, "kv_cache_memory_bytes": 67108864,
    }  # fmt: skip
    engines = [
        base
        | {
            "name": "two",
            "served_model_name": "two",
            "nodes": ["node1", "node2"],
            "tensor_parallel_size": 2,
            "port": 8000,
        },
        base | {"name": "one", "served_model_name": "one", "nodes": ["node1"], "executor": "mp", "port": 8001},
    ]
    done = lab.playbook("site.yml", variables={"vllm_engine_engines": engines})
    assert done.returncode == 0, done
    assert lab.ssh("node1", "systemctl is-enabled tandem-engine@smollm2.service", check=False) in (
        "disabled",
        "not-found",
    )
    prompts = json.loads((lab.ROOT / "tests/lab/prompts.json").read_text())
    assert len(prompts) == 8
    places = {"two": ("node1", 8000), "one": ("node1", 8001)}
    answers = {name: [lab.complete(*place, name, prompt) for prompt in prompts] for name, place in places.items()}
    assert answers["two"] == answers["one"]
    assert all(re.search(r"[a-z]{3}", answer) for answer in answers["two"])


def test_the_engine_answers_without_ray_and_a_second_converge_changes_nothing() -> None:
    done = lab.playbook("site.yml", variables=VARIABLES)
    assert done.returncode == 0, done
    assert lab.answers()
    again = lab.playbook("site.yml", variables=VARIABLES)
    assert again.returncode == 0, again
    assert again.changed == (), again


def test_the_tests_of_the_vllm_engine_role_pass_on_the_lab() -> None:
    lab.role_tests("vllm_engine")


@pytest.mark.parametrize("node", lab.NODES)
def test_an_engine_whose_rank_died_answers_again_by_itself(node: str) -> None:
    follower = lab.unit("node2")["MainPID"]
    lab.ssh(node, "pkill -9 -f VLLM::Worker")
    lab.until(lambda: not lab.answers(), timeout_sec=30, what="the engine notices that a rank died", interval_sec=0.5)
    lab.until(lab.answers, timeout_sec=180, what="the engine answers again")
    assert lab.unit("node2")["MainPID"] == follower, "the follower's supervisor must outlive its rank"


def test_a_broken_configuration_stops_after_the_allowed_restarts_with_a_clear_state() -> None:
    lab.ssh("node1", "sed -i 's/^max-model-len: .*/max-model-len: 999999999/' /etc/tandem/engines/smollm2/serve.yaml")
    lab.ssh("node1", "mkdir -p /run/systemd/system/tandem-engine@smollm2.service.d")
    lab.ssh(
        "node1",
        "printf '[Unit]\\nStartLimitBurst=2\\n' > /run/systemd/system/tandem-engine@smollm2.service.d/limit.conf",
    )
    lab.ssh("node1", f"systemctl daemon-reload; systemctl restart --no-block {lab.ENGINE_UNIT}")
    lab.until(lambda: lab.unit("node1")["ActiveState"] == "failed", timeout_sec=240, what="the unit gives up")
    assert lab.unit("node1")["NRestarts"] == "2"
    assert "waiting for leader" in lab.unit("node2")["StatusText"]
    assert lab.ssh("node2", "pgrep -f VLLM::Worker", check=False) == "", "a rank without a leader must not stay"
    lab.ssh("node1", "rm -r /run/systemd/system/tandem-engine@smollm2.service.d; systemctl daemon-reload")
    done = lab.playbook("site.yml", variables=VARIABLES)
    assert done.returncode == 0, done
    assert lab.answers()
