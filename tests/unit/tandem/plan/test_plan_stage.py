"""The plan stage: with files, stored verdicts, and Ansible."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from plan_models import LLAMA_70B, llama

from plugins.filter.inventory import problems
from tandem.plan import files, stage
from tests.plays import ROOT, Play, play

pytestmark = pytest.mark.slow

VERDICT = ROOT / "tests/fixtures/fabric/healthy-roce.json"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = {"name": "m", "source": {"hub": {"repository": "org/model", "revision": COMMIT}}}
NODES = ["strix1", "strix2"]
FIGURES = {"plan_gpu_memory_gib": 108, "plan_memory_bandwidth_gb_per_s": 215}
PROMISED = {"plan_link_gbit_per_s": 10, "plan_link_latency_usec": 20}
ENGINE = {"name": "main", "model": "m", "served_model_name": "m", "nodes": NODES, "port": 8000, "executor": "mp"}


def written(path: Path, values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path


@pytest.fixture
def models(tmp_path: Path) -> list[dict[str, Any]]:
    return [{"name": "m", "source": {"path": str(written(tmp_path / "weights/config.json", LLAMA_70B).parent)}}]


def lines(models: list[dict[str, Any]], results: Path, **figures: Any) -> list[str]:
    variables = {node: {**FIGURES, **figures} for node in NODES}
    (report,) = stage.reports([ENGINE], models, variables, "link0", str(results))
    assert not report["refused"]
    found: list[str] = report["lines"]
    return found


def test_weights_beside_a_config_count_exactly(tmp_path: Path) -> None:
    written(tmp_path / "config.json", llama())
    header = b'{"w":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}'
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    found = files.read({"source": {"path": str(tmp_path)}})
    assert found.checkpoint is not None
    assert found.checkpoint.tensors == {"w": 8}
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    assert "model.safetensors is no safetensors file" in files.read({"source": {"path": str(tmp_path)}}).missing


def test_an_index_is_read_instead_of_all_headers(tmp_path: Path) -> None:
    written(tmp_path / "config.json", llama())
    written(tmp_path / files.INDEX, {"metadata": {"total_size": 16060522496}})
    found = files.read({"source": {"path": str(tmp_path)}})
    assert found.checkpoint is not None
    assert found.checkpoint.total_bytes == 16060522496


def test_a_hubs_config_is_the_named_one_or_that_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert files.read(HUB).missing == (
        "its config.json is not on the control node; name a copy in model_weights_models[m].config"
    )
    written(tmp_path / f"hub/models--org--model/snapshots/{'f' * 40}/config.json", llama())
    assert files.read(HUB).config is None, "another commit is another model"
    written(tmp_path / f"hub/models--org--model/snapshots/{COMMIT}/config.json", llama(num_hidden_layers=7))
    cached = files.read(HUB).config
    assert cached is not None
    assert cached.raw("num_hidden_layers") == 7
    named = files.read(HUB | {"config": str(written(tmp_path / "mine.json", llama()))}).config
    assert named is not None
    assert named.raw("num_hidden_layers") == 32


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"{", "is no JSON"), (b"GGUF", "is a GGUF file")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    found = files.read({"name": "m", "source": {"path": str(tmp_path)}})
    assert found.config is None
    assert found.missing.startswith(str(tmp_path))
    assert said in found.missing


@pytest.mark.parametrize(
    "engines",
    [None, "text", {}, [None], [{}], [{"nodes": []}], [{"nodes": [{}]}], [{"nodes": "n"}],
     [{"nodes": ["n"], "extra_arguments": []}], [{"nodes": ["n"], "gpus_per_node": "two"}],
     [{"nodes": ["n"], "model": {}}], [{"nodes": ["n"], "gpus_per_node": "0", "model": "m"}]],
)  # fmt: skip
@pytest.mark.parametrize(
    "models",
    [None, "text", [None], [{}], [{"name": "m", "source": 1}], [{"name": {}, "source": {"path": 5}}],
     [{"name": "m", "source": {"hub": "x"}}], [{"name": "m", "config": ["~nobody-at-all/x"]}],
     [{"name": "m", "config": "~nobody-at-all/x"}]],
)  # fmt: skip
def test_what_is_no_engine_is_left_to_the_check_of_the_inventory(engines: Any, models: Any) -> None:
    assert stage.filled_engines(engines, models, {"n": FIGURES}) == engines


def test_the_links_figures_are_measured_else_promised_else_not_known(tmp_path: Path, models: Any) -> None:
    assert "the link is not measured yet" in lines(models, tmp_path)[3]
    assert (
        "plan_memory_bandwidth_gb_per_s is not given" in lines(models, tmp_path, plan_memory_bandwidth_gb_per_s=None)[3]
    )
    assert "(10 Gb/s, 20 usec, as promised)" in lines(models, tmp_path, **PROMISED)[3]
    (tmp_path / VERDICT.name).write_text(VERDICT.read_text())
    assert "(53.9 Gb/s, 4.91 usec, as measured last)" in lines(models, tmp_path, **PROMISED)[3]
    (tmp_path / "broken.json").write_text("{")
    assert "as promised" in lines(models, tmp_path, **PROMISED)[3]


def run(tmp_path: Path, models: Any, engine: dict[str, Any], *arguments: str, **variables: Any) -> tuple[Play, Any]:
    """Run the stage, then take what role vllm_engine would write, on two names of this machine."""
    described = FIGURES | {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "tandem_link": "link0",
        "fabric_gate_results_directory": str(tmp_path / "fabric"),
        "model_weights_models": models,
        "vllm_engine_engines": [engine],
    }
    inventory = {"all": {"hosts": {node: {} for node in NODES}, "vars": described | variables}}
    take = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROOT / "roles/vllm_engine/vars/main.yml")],
        "tasks": [
            {
                "name": "Take what is filled in",
                "ansible.builtin.copy": {
                    "content": "{{ __vllm_engine_here | to_json }}",
                    "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}.json",
                    "mode": "0600",
                },
            }
        ],
    }
    plays = [{"ansible.builtin.import_playbook": str(ROOT / "playbooks/plan.yml")}, take]
    done = play(
        written(tmp_path / "hosts.json", inventory),
        str(written(tmp_path / "site.json", plays)),
        *arguments,
        environment={"ANSIBLE_CACHE_PLUGIN": "memory", "ANSIBLE_HOME": str(tmp_path / "home")},
        timeout_sec=120,
    )
    found = tmp_path / "strix2.json"
    return done, json.loads(found.read_text())[0] if found.exists() else None


def test_every_node_is_told_what_was_left_out_and_a_measurement_changes_nothing(tmp_path: Path, models: Any) -> None:
    done, engine = run(tmp_path, models, ENGINE | {"max_num_seqs": 3})
    assert done.returncode == 0, done
    assert engine["max_num_seqs"] == 3
    assert engine["tensor_parallel_size"] == 2
    assert engine["kv_cache_memory_bytes"] == 32988200960
    (tmp_path / "fabric").mkdir()
    (tmp_path / "fabric/verdict.json").write_text(VERDICT.read_text())
    # One node alone hears the same.
    again, same = run(tmp_path, models, ENGINE | {"max_num_seqs": 3}, "--limit", "strix2")
    assert again.returncode == 0, again
    assert again.changed == ()
    assert same == engine


@pytest.mark.parametrize(
    ("changes", "variables", "said"),
    [
        (
            {"max_model_len": 200000},
            {},
            "[main]: vLLM refuses 200000 tokens: the model was made for 131072; what works",
        ),
        ({}, {"plan_gpu_memory_gib": 60}, "[main]: does not fit: "),
        ({"tensor_parallel_size": 3}, {}, "[main]: tensor_parallel_size is 3, and there are 2 GPUs"),
    ],
)
def test_an_engine_that_cannot_work_stops_the_run_before_a_node_changes(
    tmp_path: Path, models: Any, changes: dict[str, Any], variables: dict[str, Any], said: str
) -> None:
    done, engine = run(tmp_path, models, ENGINE | changes, **variables)
    assert done.returncode != 0
    assert "1 problem with the plan; nothing was changed:\n- vllm_engine_engines" + said in done.output
    assert done.changed == ()
    assert engine is None


def test_without_a_figure_for_memory_nothing_fails_and_nothing_is_filled_in(tmp_path: Path, models: Any) -> None:
    done, engine = run(tmp_path, models, ENGINE, plan_gpu_memory_gib=None)
    assert done.returncode == 0, done
    assert engine == ENGINE


@pytest.mark.parametrize(("memory", "wrong"), [(108, False), (None, True)])
def test_the_check_of_the_inventory_sees_the_sizes_that_the_plan_fills_in(
    models: Any, memory: Any, wrong: bool
) -> None:
    variables = FIGURES | {
        "plan_gpu_memory_gib": memory,
        "model_weights_models": models,
        "vllm_engine_engines": [ENGINE],
    }
    groups = {"nodes": NODES, "serving": NODES, "linked": NODES}
    found = problems(dict.fromkeys(NODES, variables), groups, str(ROOT / "roles"))
    assert any("makes 1 ranks, but 2 nodes" in problem for problem in found) == wrong
