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


def engines(**changes: Any) -> dict[str, Any]:
    return {"vllm_engine_engines": [ENGINE | changes]}


def ends(node: str, **changes: Any) -> dict[str, Any]:
    return {"link_links": [LINK | {"ends": LINK["ends"] | {node: LINK["ends"][node] | changes}}]}


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("unknown variable", {"vllm_engine_engine": []}, ["vllm_engine_engine", "vllm_engine_engines"]),
    ("unknown key", engines(tensor_paralel_size=2), ["tensor_paralel_size", "tensor_parallel_size"]),
    ("size that does not divide the heads",
     engines(nodes=["node1"], gpus_per_node=5, tensor_parallel_size=5, executor="mp"), ["tensor_parallel_size", "12"]),
    ("two nodes with one address", ends("node2", address="192.168.100.1/30"), ["192.168.100.1", "link0"]),
    ("missing node", engines(nodes=["node1", "node3"]), ["node3", "nodes"]),
    ("wrong link name", {"tandem_link": "link1"}, ["tandem_link", "link1", "link0"]),
    ("wrong interface", ends("node1", interface="eth7"), ["eth7", "link0", "eth1"]),
    ("moving revision", {"model_weights_models": [
        {"name": "smollm2-135m-instruct", "source": {"hub": {"repository": "o/n", "revision": "main"}}}]},
     ["main", "revision"]),
    ("open listener", engines(listen_address="0.0.0.0"), ["listen_address", "vllm_engine_accept_open_listener"]),
    ("no disk space", {"model_weights_free_space_reserve_bytes": 10**16},
     ["model_weights_free_space_reserve_bytes", "MiB free"]),
]  # fmt: skip


@pytest.mark.parametrize(("variables", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_mistake_is_named_and_no_node_changes(variables: dict[str, Any], words: list[str]) -> None:
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
