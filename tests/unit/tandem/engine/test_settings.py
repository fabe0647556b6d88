"""The files of a rank from an engine's entry."""

from typing import Any

import pytest

from tandem.engine.placement import placement_problems, ranks_wanted
from tandem.engine.settings import PLACEHOLDER, Ports, engines_on, rank_settings, serve_settings

ADDRESSES = {"node1": "192.168.100.1", "node2": "192.168.100.2"}
PORTS = Ports(group=29400, master=29500)
SUPERVISION = {
    "heartbeat_interval_sec": 2, "heartbeat_timeout_sec": 10, "probe_interval_sec": 10, "probe_timeout_sec": 30,
    "stall_timeout_sec": 60, "start_timeout_sec": 1800,
}  # fmt: skip


def engine(**changes: Any) -> dict[str, Any]:
    return {
        "name": "e",
        "model": "m",
        "served_model_name": "s",
        "nodes": ["node1", "node2"],
        "tensor_parallel_size": 2,
        "port": 8000,
    } | changes


def serve(node: str, *, drain_timeout_sec: int = 30, **changes: Any) -> dict[str, Any]:
    return serve_settings(
        engine(**changes),
        node,
        addresses=ADDRESSES,
        model_directory="/m",
        ports=PORTS,
        drain_timeout_sec=drain_timeout_sec,
    )


def rank(node: str, *, drain_timeout_sec: int = 30, **changes: Any) -> dict[str, Any]:
    return rank_settings(
        engine(**changes),
        node,
        addresses=ADDRESSES,
        command=["/vllm"],
        ports=PORTS,
        supervision=SUPERVISION,
        weights={},
        fabric={"directory": "/var/lib/tandem/fabric", "link": "link0"},
        drain_timeout_sec=drain_timeout_sec,
    )


def test_requests_under_way_get_time_where_they_are() -> None:
    assert serve("node1")["shutdown-timeout"] == 30
    assert rank("node1")["stop_grace_sec"] == 50
    assert "shutdown-timeout" not in serve("node2")
    assert "stop_grace_sec" not in rank("node2")


def test_a_vllm_that_cannot_drain_is_not_asked_to() -> None:
    assert "shutdown-timeout" not in serve("node1", drain_timeout_sec=0)
    assert "stop_grace_sec" not in rank("node1", drain_timeout_sec=0)


def test_ray_is_the_default_and_needs_no_rendezvous() -> None:
    settings = serve("node1")
    assert settings["distributed-executor-backend"] == "ray"
    assert not settings.keys() & {"nnodes", "node-rank", "master-addr", "headless"}


def test_without_ray_each_node_has_its_rank_and_only_the_leader_listens() -> None:
    leader, follower = serve("node1", executor="mp"), serve("node2", executor="mp")
    assert (leader["node-rank"], follower["node-rank"]) == (0, 1)
    assert leader["master-addr"] == follower["master-addr"] == "192.168.100.1"
    assert leader["host"] == "127.0.0.1"
    assert "headless" not in leader
    assert follower["headless"] is True
    assert not follower.keys() & {"host", "port"}


def test_one_node_without_ray_needs_no_executor_at_all() -> None:
    assert "distributed-executor-backend" not in serve("node1", executor="mp", nodes=["node1"], tensor_parallel_size=1)


@pytest.mark.parametrize(
    "option",
    [
        "dtype",
        "gpu_memory_utilization",
        "max_model_len",
        "max_num_seqs",
        "max_num_batched_tokens",
        "kv_cache_memory_bytes",
    ],
)
def test_an_option_is_written_only_where_it_is_set(option: str) -> None:
    key = option.replace("_", "-")
    assert key not in serve("node1")
    assert key not in serve("node1", **{option: None})
    assert serve("node1", **{option: 7})[key] == 7


def test_false_is_a_value() -> None:
    assert serve("node1", enable_prefix_caching=False)["enable-prefix-caching"] is False


def test_extra_arguments_win() -> None:
    assert serve("node1", dtype="bfloat16", extra_arguments={"dtype": "float32", "seed": 1})["dtype"] == "float32"


def test_rays_ranks_are_held_by_a_placeholder_elsewhere_than_on_the_leader() -> None:
    assert rank("node1")["command"] == ["/vllm"]
    assert rank("node2")["command"] == list(PLACEHOLDER)
    assert rank("node2", executor="mp")["command"] == ["/vllm"]


def test_only_the_leader_knows_the_api_and_calls_an_address_that_exists() -> None:
    assert rank("node1", listen_address="0.0.0.0")["api"]["address"] == "127.0.0.1"
    assert rank("node2")["api"] is None


def test_what_is_written_is_what_the_supervisor_reads() -> None:
    from tandem.rank.config import parse_config

    for node in ADDRESSES:
        document = rank(node) | {"weights": {"directory": "/m", "manifest": "/m.sha256"}}
        assert parse_config(document).own.node == node


def test_only_an_engine_over_several_nodes_needs_a_fabric() -> None:
    assert rank("node2")["fabric"] == {"directory": "/var/lib/tandem/fabric", "link": "link0"}
    assert "fabric" not in rank("node1", nodes=["node1"])


def test_an_engine_is_on_all_its_nodes() -> None:
    assert [found["name"] for found in engines_on([engine(), engine(name="f", nodes=["node1"])], "node2")] == ["e"]


def test_rays_unit_holds_the_ranks_of_all_its_engines() -> None:
    engines = [engine(), engine(name="f"), engine(name="g", executor="mp", gpus_per_node=2)]
    assert ranks_wanted(engines, "node1") == {"tandem-ray.service": 2, "tandem-engine@g.service": 2}
    assert ranks_wanted(engines, "node3") == {}


def test_a_rank_in_the_wrong_place_is_named() -> None:
    here = {"pid": 7, "title": "ray::RayWorkerProc.run", "unit": "tandem-ray.service"}
    assert placement_problems([engine()], "node1", [here]) == []
    (both,) = placement_problems([engine()], "node1", [here, here | {"pid": 8}])
    assert "node1: tandem-ray.service must hold 1 rank(s), found 2" in both
    (none,) = placement_problems([engine()], "node2", [])
    assert "found 0: none" in none
    (stray,) = placement_problems([engine()], "node3", [here])
    assert "must hold 0 rank(s), found 1" in stray
