"""From bare nodes to an answer, and nothing left to change. The tests of this folder run in order, on one lab."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab


def test_check_mode_passes_on_bare_nodes_and_changes_nothing() -> None:
    done = lab.playbook("site.yml", "--check", "--diff")
    assert done.returncode == 0, done
    assert done.changed, "check mode must say what it would change"
    for node in lab.NODES:
        assert lab.ssh(node, "ls /etc/tandem /opt/tandem 2>/dev/null; getent passwd tandem", check=False) == ""


def test_site_converges_and_the_engine_answers_in_english() -> None:
    done = lab.playbook("site.yml")
    assert done.returncode == 0, done
    assert "Paris" in lab.ask("What is the capital of France?")


def test_a_second_converge_changes_nothing() -> None:
    before = [lab.unit(node)["MainPID"] for node in lab.NODES]
    done = lab.playbook("site.yml")
    assert done.returncode == 0, done
    assert done.changed == (), done
    assert [lab.unit(node)["MainPID"] for node in lab.NODES] == before


def test_check_mode_reports_nothing_on_converged_nodes() -> None:
    done = lab.playbook("site.yml", "--check", "--diff")
    assert done.returncode == 0, done
    assert done.changed == (), done


def test_secrets_are_readable_by_root_only_and_in_no_command_line() -> None:
    for node in lab.NODES:
        secrets = lab.ssh(
            node, "for f in /etc/tandem/secrets/*; do stat -c '%a %U' $f; done; stat -c '%a %U' /etc/tandem/secrets"
        )
        assert set(secrets.splitlines()) == {"600 root", "700 root"}
        values = lab.ssh(node, "cat /etc/tandem/secrets/*").split()
        commands = lab.ssh(
            node, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; journalctl --no-pager -o cat; cat /etc/tandem/engines/*/*"
        )
        assert values
        assert not [value for value in values if value in commands]


def test_the_link_carries_full_frames_and_is_verified_by_networkmanager() -> None:
    for node, peer in (("node1", "192.168.100.2"), ("node2", "192.168.100.1")):
        assert lab.ssh(node, "nmcli -g 802-3-ethernet.mtu,ipv4.never-default connection show link0").split() == [
            "9000",
            "yes",
        ]
        lab.ssh(node, f"ping -c 2 -i 0.2 -W 2 -M do -s 8972 {peer}")


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
        base | {"name": "one", "served_model_name": "one", "nodes": ["node2"], "executor": "mp", "port": 8001},
    ]
    done = lab.playbook("site.yml", variables={"vllm_engine_engines": engines})
    assert done.returncode == 0, done
    assert lab.ssh("node1", "systemctl is-enabled tandem-engine@smollm2.service", check=False) in (
        "disabled",
        "not-found",
    )
    prompts = json.loads((lab.ROOT / "tests/lab/prompts.json").read_text())
    assert len(prompts) == 8
    answers = {name: [lab.ask(prompt, engine=name, max_tokens=24) for prompt in prompts] for name in ("two", "one")}
    assert answers["two"] == answers["one"]
    assert all(re.search(r"[a-z]{3}", answer) for answer in answers["two"])
