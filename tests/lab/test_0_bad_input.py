"""Bad input on bare nodes: refused with the name of the variable, before a node changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab

ENGINE: dict[str, Any] = {
    "name": "e", "model": "smollm2-135m-instruct", "served_model_name": "e", "nodes": ["node1", "node2"],
    "tensor_parallel_size": 2, "port": 8000,
}  # fmt: skip
LINK: dict[str, Any] = {
    "name": "link0",
    "mtu_bytes": 9000,
    "ends": {
        "node1": {"interface": "eth1", "address": "192.168.100.1/30"},
        "node2": {"interface": "eth1", "address": "192.168.100.2/30"},
    },
}


def ends(node: str, **changes: Any) -> dict[str, Any]:
    """Return the link with a mistake at one end."""
    return LINK | {"ends": LINK["ends"] | {node: LINK["ends"][node] | changes}}


MODEL: dict[str, Any] = {
    "name": "smollm2-135m-instruct",
    "source": {"path": "{{ lab_cache }}/models/smollm2-135m-instruct"},
    "revision": "1",
}
# One run names them all.
DESCRIPTION: dict[str, Any] = {
    "vllm_engine_engine": [],
    "tandem_link": "link1",
    "link_links": [ends("node2", address="192.168.100.1/30")],
    "model_weights_models": [
        MODEL,
        {"name": "moving", "source": {"hub": {"repository": "o/n", "revision": "main"}}},
    ],
    "vllm_engine_engines": [
        ENGINE | {"tensor_paralel_size": 2},
        ENGINE | {"name": "odd", "nodes": ["node1"], "gpus_per_node": 5, "tensor_parallel_size": 5, "executor": "mp"},
        ENGINE | {"name": "lost", "nodes": ["node1", "node3"]},
        ENGINE | {"name": "open", "listen_address": "0.0.0.0"},
    ],
}
MISTAKES = [
    "vllm_engine_engine: is an unknown variable; did you mean vllm_engine_engines?",
    "vllm_engine_engines[e].tensor_paralel_size: is an unknown key; did you mean tensor_parallel_size?",
    "vllm_engine_engines[odd].tensor_parallel_size: 5 does not divide the 12 attention heads",
    "link_links[link0].ends.node2.address: 192.168.100.1 is also the address at link_links[link0].ends.node1.address",
    "vllm_engine_engines[lost].nodes: node3 is not in the group nodes",
    "tandem_link: found 'link1', which is not in link_links; did you mean link0?",
    "model_weights_models[moving].source.hub.revision: found 'main'",
    "vllm_engine_engines[open].listen_address: found 0.0.0.0",
    "set vllm_engine_accept_open_listener: true",
]
NODES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("wrong interface",
     {"link_links": [ends("node1", interface="eth7")]},
     ["eth7", "link0", "eth1"]),
    ("no disk space", {"model_weights_free_space_reserve_bytes": 10**16},
     ["model_weights_free_space_reserve_bytes", "MiB free"]),
    ("an engine that does not fit", {"plan_gpu_memory_gib": 0.25},
     ["vllm_engine_engines[smollm2]: does not fit", "what works: 0.4", "plan_gpu_memory_gib"]),
]  # fmt: skip


def test_all_mistakes_of_a_description_are_named_at_once_and_no_node_changes() -> None:
    done = lab.playbook("site.yml", variables=DESCRIPTION)
    assert done.returncode != 0
    assert not [mistake for mistake in MISTAKES if mistake not in done.output], done
    assert done.changed == (), done


@pytest.mark.parametrize(("variables", "words"), [case[1:] for case in NODES], ids=[case[0] for case in NODES])
def test_what_the_nodes_cannot_do_is_named_and_no_node_changes(variables: dict[str, Any], words: list[str]) -> None:
    done = lab.playbook("site.yml", variables=variables)
    assert done.returncode != 0
    assert not [word for word in words if word not in done.output], done
    assert done.changed == (), done


def test_a_port_that_somebody_else_holds_is_named_with_its_holder() -> None:
    lab.ssh("node1", "systemd-run --quiet --unit=squatter python3 -m http.server --bind 127.0.0.1 8000")
    try:
        done = lab.playbook("site.yml")
    finally:
        lab.ssh("node1", "systemctl stop squatter")
    assert done.returncode != 0
    assert "8000" in done.output
    assert "squatter" in done.output or "python3" in done.output
    assert done.changed == (), done


def test_a_node_that_does_not_answer_is_named() -> None:
    done = lab.playbook("site.yml", "--limit", "node2", variables={"ansible_port": 2299})
    assert done.returncode != 0
    assert "node2 cannot be reached" in done.output
    assert done.changed == (), done


def test_the_nodes_are_as_bare_as_before() -> None:
    for node in lab.NODES:
        assert lab.ssh(
            node, "ls /etc/tandem /opt/tandem /var/lib/tandem 2>/dev/null; nmcli -g NAME connection", check=False
        ) in ("", "lo")
