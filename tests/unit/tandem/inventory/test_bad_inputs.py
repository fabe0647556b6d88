# ruff: noqa: E501 (a table)
"""Every mistake that is caught: what is spoilt in a good description, and what is said about it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tandem.inventory.check import find_problems, format_problems
from tandem.inventory.description import Source


class Case(NamedTuple):
    """A mistake. The problem must be the only one, unless others follow from it."""

    name: str
    spoil: Callable[[Any], object]
    variable: str
    words: str
    alone: bool = True


def put(container: Any, **values: Any) -> None:
    container.update(values)


FIRST, SECOND = "vllm_engine_engines[first]", "vllm_engine_engines[second]"
LINK = "link_links[link0]"
# fmt: off
CASES = [
    # names of variables
    Case("unknown variable", lambda d: put(d.variables, ray_prot=1), "ray_prot", "did you mean ray_port?"),
    Case("nothing close", lambda d: put(d.variables, ray_zzzz=1), "ray_zzzz", "unknown variable; known are: ray_app"),
    Case("misspelt prefix", lambda d: put(d.variables, vlm_engine_engine=[]), "vlm_engine_engine", "vllm_engine_engines?"),
    Case("unknown tandem variable", lambda d: put(d.variables, tandem_lnk="x"), "tandem_lnk", "tandem_link?"),
    Case("host variable", lambda d: put(d.host_variables["node2"], ray_prot=1), "ray_prot", "did you mean ray_port?"),
    Case("missing list", lambda d: d.variables.pop("link_links"), "link_links", "is missing; add it", alone=False),
    Case(
        "two truths",
        lambda d: put(d.host_variables["node2"], tandem_link="link1"),
        "tandem_link",
        "differs between node1 and node2; the cluster has one: define it in group_vars/all",
    ),
    Case("unknown plan variable", lambda d: put(d.variables, plan_gpu_memory_gb=1), "plan_gpu_memory_gb", "plan_gpu_memory_gib?"),
    Case("two promises", lambda d: put(d.host_variables["node2"], plan_link_gbit_per_s=1), "plan_link_gbit_per_s", "differs"),
    # form
    Case("no memory", lambda d: put(d.variables, plan_gpu_memory_gib=0), "plan_gpu_memory_gib", "found 0; give a number above 0 (GiB)"),
    Case("no bandwidth", lambda d: put(d.variables, plan_link_gbit_per_s="fast"), "plan_link_gbit_per_s", "give a number (Gb/s)"),
    Case("no list", lambda d: put(d.variables, link_links={}), "link_links", "found dict {}; give a list", alone=False),
    Case("no number", lambda d: put(d.links[0], mtu_bytes="9k"), f"{LINK}.mtu_bytes", "found '9k'; give a whole number (bytes)"),
    Case("no port", lambda d: put(d.variables, ray_port=70000), "ray_port", "found 70000; give a number from 1 to 65535"),
    Case("no truth", lambda d: put(d.engines[0], enforce_eager="maybe"), f"{FIRST}.enforce_eager", "give true or false"),
    Case("no choice", lambda d: put(d.engines[0], executor="rya"), f"{FIRST}.executor", "choose one of ray, mp", alone=False),
    Case("bad runtime", lambda d: put(d.engines[0], runtime="docker"), f"{FIRST}.runtime", "choose one of venv, container"),
    Case(
        "unknown key of an engine",
        lambda d: put(d.engines[0], tensor_parallel=2),
        f"{FIRST}.tensor_parallel",
        "is an unknown key; did you mean tensor_parallel_size?",
    ),
    Case("missing key", lambda d: d.engines[0].pop("port"), f"{FIRST}.port", "is missing; add it: Port of the API"),
    Case("unknown key of a link", lambda d: put(d.links[0], mtu=1), f"{LINK}.mtu", "did you mean mtu_bytes?"),
    Case("memory share in percent", lambda d: put(d.engines[0], gpu_memory_utilization=90), f"{FIRST}.gpu", "above 0 and up to 1"),
    Case("zero length", lambda d: put(d.engines[0], max_model_len=0), f"{FIRST}.max_model_len", "above 0 (tokens)"),
    Case("negative size", lambda d: put(d.variables, ray_object_store_memory_bytes=-1), "ray_object_store", "above 0 (bytes)"),
    Case("no memory", lambda d: put(d.variables, kernel_args_gpu_memory_gib=0), "kernel_args_gpu", "give a number above 0 (GiB)"),
    Case("dtype", lambda d: put(d.engines[0], dtype="fp16"), f"{FIRST}.dtype", "found 'fp16'; choose one of auto, half, float16"),
    # links
    Case(
        "one address twice on a link",
        lambda d: put(d.ends["node2"], address="192.168.100.1/30"),
        f"{LINK}.ends.node2.address",
        f"192.168.100.1 is also the address at {LINK}.ends.node1.address; give each end its own",
    ),
    Case(
        "name that a verdict's file cannot have",
        lambda d: put(d.links[1], name="a--b"),
        "link_links[a--b]",
        "take '--' and '/' out of the names of links and nodes",
    ),
    Case(
        "one address on two links",
        lambda d: put(d.links[1]["ends"]["node2"], address="192.168.100.1/30"),
        "link_links[link1].ends.node2.address",
        f"192.168.100.1 is also the address at {LINK}.ends.node1.address",
        alone=False,
    ),
    Case(
        "one network on two links",
        lambda d: [put(d.links[1]["ends"][f"node{i}"], address=f"192.168.100.{i + 4}/29") for i in (1, 2)],
        "link_links[link1].ends.node1.address",
        "network 192.168.100.0/29 overlaps 192.168.100.0/30 of link link0",
        alone=False,
    ),
    Case(
        "another network",
        lambda d: put(d.ends["node2"], address="192.168.100.5/30"),
        f"{LINK}.ends.node2.address",
        "is in 192.168.100.4/30, but node1 is in 192.168.100.0/30",
    ),
    Case(
        "network address",
        lambda d: put(d.ends["node1"], address="192.168.100.0/30"),
        f"{LINK}.ends.node1.address",
        "192.168.100.0 is the address of the network 192.168.100.0/30; use 192.168.100.1 to 192.168.100.2",
    ),
    Case("broadcast address", lambda d: put(d.ends["node1"], address="192.168.100.3/30"), f"{LINK}.ends.node1", "broadcast"),
    Case("no prefix", lambda d: put(d.ends["node1"], address="192.168.100.1"), f"{LINK}.ends.node1", "prefix", alone=False),
    Case("no address", lambda d: put(d.ends["node1"], address="192.168.100.300/30"), f"{LINK}.ends.node1", "300/30"),
    Case("address missing", lambda d: d.ends["node1"].pop("address"), f"{LINK}.ends.node1.address", "is missing"),
    Case("neither device", lambda d: d.ends["node1"].pop("interface"), f"{LINK}.ends.node1", "neither of interface and mac"),
    Case("both devices", lambda d: put(d.ends["node2"], interface="eth1"), f"{LINK}.ends.node2", "has both of interface"),
    Case("mac address", lambda d: put(d.ends["node2"], mac_address=7), f"{LINK}.ends.node2.mac_address", "aa:bb:cc:dd:ee:ff"),
    Case("key of an end", lambda d: put(d.ends["node1"], adress="x"), f"{LINK}.ends.node1.adress", "did you mean address?"),
    Case("no end at all", lambda d: put(d.ends, node1=None), f"{LINK}.ends.node1", "found None", alone=False),
    Case("stranger", lambda d: put(d.ends, node3=d.ends.pop("node2")), f"{LINK}.ends.node3", "did you mean node", alone=False),
    Case("one end", lambda d: d.ends.pop("node2"), f"{LINK}.ends", "a link joins two nodes or more", alone=False),
    Case("one name twice", lambda d: put(d.links[1], name="link0"), LINK, "is defined twice"),
    Case("tiny mtu", lambda d: put(d.links[0], mtu_bytes=900), f"{LINK}.mtu_bytes", "from 1280 to 65535, such as 9000"),
    Case("transport", lambda d: put(d.links[0], transport="rdma"), f"{LINK}.transport", "found 'rdma'; choose one of roce, tcp"),
    Case("wrong link", lambda d: put(d.variables, tandem_link="lnk0"), "tandem_link", "did you mean link0?"),
    Case("not linked", lambda d: d.groups["linked"].remove("node2"), f"{LINK}.ends.node2", "not in the group linked", alone=False),
    # groups
    Case("no group", lambda d: d.groups.pop("serving"), "group serving", "is missing or empty", alone=False),
    Case("stranger in a group", lambda d: d.groups["serving"].append("node9"), "group serving", "node9 is not in the group nodes"),
    # models
    Case("branch", lambda d: put(d.models[1]["source"]["hub"], revision="main"), "model_weights_models[hubbed].source.hub.revision",
         "found 'main'; give the commit, 40 hexadecimal digits: a branch or tag moves"),
    Case("repository", lambda d: put(d.models[1]["source"]["hub"], repository="x"), "model_weights_models[hubbed]", "organisation/name"),
    Case("two sources", lambda d: put(d.models[1]["source"], path="/models/small"), "model_weights_models[hubbed].source", "both"),
    Case("no source", lambda d: put(d.models[0], source={}), "model_weights_models[small].source", "neither of path and hub"),
    Case("model twice", lambda d: put(d.models[1], name="small"), "model_weights_models[small]", "defined twice", alone=False),
    Case("model's name", lambda d: [put(d.models[1], name="a/b"), put(d.engines[1], model="a/b")], "model_weights_models[a/b].name",
         "is used as a directory"),
    Case("no weights", lambda d: put(d.sources, **{"/models/small": Source(fault="no such directory on the control node")}),
         "model_weights_models[small].source.path", "found /models/small: no such directory on the control node"),
    # engines
    Case("heads", lambda d: put(d.config, num_attention_heads=9, num_key_value_heads=3), f"{FIRST}.tensor_parallel_size",
         "2 does not divide the 9 attention heads of small; use one of 1, 3, 9"),
    Case("nested heads", lambda d: put(d.config, text_config={"num_attention_heads": 9}), f"{FIRST}.tensor_parallel_size", "9 attention"),
    Case("key-value heads", lambda d: put(d.config, num_key_value_heads=3), f"{FIRST}.tensor_parallel_size",
         "2 neither divides the 3 key-value heads of small nor is a multiple of them; use one of 1, 3, 6, 12"),
    Case("layers", lambda d: [put(d.config, num_hidden_layers=1), put(d.engines[0], tensor_parallel_size=1, pipeline_parallel_size=2)],
         f"{FIRST}.pipeline_parallel_size", "small has only 1 layers"),
    Case("too long", lambda d: put(d.engines[0], max_model_len=4096), f"{FIRST}.max_model_len", "was made for 2048 positions; use at most 2048"),
    Case("ranks", lambda d: put(d.engines[0], tensor_parallel_size=4), f"{FIRST}.tensor_parallel_size",
         "4 x pipeline_parallel_size 1 makes 4 ranks, but 2 nodes with 1 each hold 2"),
    Case("missing node", lambda d: put(d.engines[0], nodes=["node1", "nod2"]), f"{FIRST}.nodes", "nod2 is not in the group nodes; did you mean node2?",
         alone=False),
    Case("not serving", lambda d: d.groups["serving"].remove("node2"), f"{FIRST}.nodes", "node2 is not in the group serving", alone=False),
    Case("node twice", lambda d: put(d.engines[0], nodes=["node1", "node1"]), f"{FIRST}.nodes", "node1 is named twice", alone=False),
    Case("no nodes", lambda d: put(d.engines[0], nodes=[]), f"{FIRST}.nodes", "is empty"),
    Case("not on the link", lambda d: d.links[0]["ends"].pop("node2"), f"{FIRST}.nodes", "node2 has no end on link link0 (tandem_link)", alone=False),
    Case("engine twice", lambda d: put(d.engines[1], name="first"), FIRST, "is defined twice"),
    Case("engine's name", lambda d: put(d.engines[0], name="a b"), "vllm_engine_engines[a b].name", "name of a unit"),
    Case("no model", lambda d: put(d.engines[0], model="smal"), f"{FIRST}.model", "did you mean small?"),
    Case("no image", lambda d: d.engines[1].pop("image"), f"{SECOND}.image", "is missing; runtime container needs an image with its digest"),
    Case("tag", lambda d: put(d.engines[1], image="vllm:1.0"), f"{SECOND}.image", "pin it by digest"),
    Case("ray in a container", lambda d: put(d.engines[1], executor="ray"), f"{SECOND}.executor", "set executor: mp", alone=False),
    Case("image unused", lambda d: put(d.engines[0], image="x"), f"{FIRST}.image", "has no effect with runtime venv"),
    Case("open listener", lambda d: put(d.engines[0], listen_address="0.0.0.0"), f"{FIRST}.listen_address",
         "API key guards /v1 only"),
    Case("listener's name", lambda d: put(d.engines[0], listen_address="here"), f"{FIRST}.listen_address", "give an IP address"),
    # Ray
    Case("no head", lambda d: d.variables.pop("ray_head"), "ray_head", "engine first has executor ray"),
    Case("wrong head", lambda d: put(d.variables, ray_head="nod1"), "ray_head", "nod1 is not in the group ray; did you mean node1?"),
    Case("not in ray", lambda d: d.groups["ray"].remove("node2"), f"{FIRST}.nodes", "node2 is not in the group ray"),
    Case("too many ranks", lambda d: put(d.engines[1], executor="ray", runtime="venv", image=None), "ray_gpus_per_node",
         "node1 offers 1, but its engines want 2 (first 1, second 1)", alone=False),
    # the environment of ranks
    Case("name of RCCL", lambda d: put(d.variables, node_environment_extra={"RCCL_NET_GDR_LEVEL": "0"}),
         "node_environment_extra.RCCL_NET_GDR_LEVEL", "is read by nobody; did you mean NCCL_NET_GDR_LEVEL?"),
    Case("name of NCCL", lambda d: put(d.variables, node_environment_extra={"NCCL_IFNAME": "=eth1"}),
         "node_environment_extra.NCCL_IFNAME", "did you mean NCCL_SOCKET_IFNAME?"),
    Case("misspelt name", lambda d: put(d.variables, node_environment_extra={"NCCL_IB_TIMEUOT": "22"}),
         "node_environment_extra.NCCL_IB_TIMEUOT", "did you mean NCCL_IB_TIMEOUT?"),
    Case("unheard-of name", lambda d: put(d.variables, node_environment_extra={"RCCL_QQQQ_ZZZZ": "22"}),
         "node_environment_extra.RCCL_QQQQ_ZZZZ", "correct it. Or, if a plug-in reads it, add it to node_environment_accepted_names"),
    Case("name at one node", lambda d: put(d.host_variables["node2"], node_environment_extra={"NCCL_GID_INDEX": 1}),
         "node_environment_extra.NCCL_GID_INDEX", "did you mean NCCL_IB_GID_INDEX?"),
    Case("name of an engine", lambda d: put(d.engines[0], environment={"RCCL_IB_HCA": "=mlx5_0"}),
         f"{FIRST}.environment.RCCL_IB_HCA", "did you mean NCCL_IB_HCA?"),
    Case("prefix of devices", lambda d: put(d.variables, node_environment_extra={"NCCL_IB_HCA": "mlx5_1"}),
         "node_environment_extra.NCCL_IB_HCA", "'mlx5_1' is taken as the beginning of names; write '=mlx5_1'"),
    Case("sign in a name", lambda d: put(d.variables, node_environment_extra={"GLOO_SOCKET_IFNAME": "=eth1"}),
         "node_environment_extra.GLOO_SOCKET_IFNAME", "write 'eth1'"),
    Case("no environment", lambda d: put(d.variables, node_environment_extra=["NCCL_IFNAME"]), "node_environment_extra", "give a dictionary"),
    # RDMA
    Case("name of a device", lambda d: put(d.variables, rdma_soft_roce_name="rxe {interface}"), "rdma_soft_roce_name", "makes no name of a device"),
    Case("index of a GID", lambda d: put(d.variables, rdma_gid_index=-1), "rdma_gid_index", "found -1; give the index of a GID"),
    # ports
    Case("two engines", lambda d: put(d.engines[1], port=8000, nodes=["node1", "node2"]), f"{SECOND}.port", f"8000 on node1 is taken by {FIRST}.port"),
    Case("engine and Ray", lambda d: put(d.engines[0], port=6379), f"{FIRST}.port", "port 6379 on node1 is taken by ray_port"),
    Case("engine and workers", lambda d: put(d.engines[0], port=20050), f"{FIRST}.port", "taken by ray_worker_port_min (20000-20099)"),
    Case("engine and internals", lambda d: put(d.engines[0], port=29610), "vllm_engine_internal_port", f"is taken by {FIRST}.port"),
    Case("two of Ray's", lambda d: put(d.variables, ray_node_manager_port=6379), "ray_node_manager_port", "taken by ray_port", alone=False),
    Case("workers backwards", lambda d: put(d.variables, ray_worker_port_max=19000), "ray_worker_port_max", "give at least ray_worker_port_min"),
    Case("privileged", lambda d: put(d.engines[0], port=80), f"{FIRST}.port", "services do not run as root"),
]
# fmt: on


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_mistake_is_named(draft: Any, case: Case) -> None:
    case.spoil(draft)
    problems = find_problems(draft.finish())
    matching = [p for p in problems if p.variable.startswith(case.variable) and case.words in str(p)]
    assert matching, format_problems(problems)
    if case.alone:
        assert problems == matching, format_problems(problems)


GOOD_CHANGES: dict[str, Callable[[Any], object]] = {
    "nothing": lambda d: None,
    "numbers in text, as from the command line": lambda d: put(d.variables, ray_port="6390"),
    "a variable of somebody else": lambda d: put(d.variables, backup_schedule="daily", ansible_user="root"),
    "open listener, consented": lambda d: [
        put(d.engines[0], listen_address="0.0.0.0"),
        put(d.variables, vllm_engine_accept_open_listener=True),
    ],
    "longer than trained, scaled": lambda d: [
        put(d.engines[0], max_model_len=4096),
        put(d.config, rope_scaling={"rope_type": "yarn", "factor": 4.0}),
    ],
    "longer than trained, overridden": lambda d: put(
        d.engines[0], max_model_len=4096, extra_arguments={"hf_overrides": {}}
    ),
    "two ranks per node": lambda d: [
        put(d.engines[0], tensor_parallel_size=4, gpus_per_node=2),
        put(d.variables, ray_gpus_per_node=2),
    ],
    "key-value heads repeated": lambda d: put(d.config, num_key_value_heads=1),
    "no Ray at all": lambda d: [
        put(d.engines[0], executor="mp"),
        d.variables.pop("ray_head"),
        d.groups.pop("ray"),
        put(d.engines[0], port=6379),
    ],
    "real names for NCCL": lambda d: put(
        d.variables, node_environment_extra={"NCCL_IB_HCA": "=mlx5_0:1", "NCCL_SOCKET_IFNAME": "^docker", "A": 1}
    ),
    "a name that only a plug-in knows": lambda d: put(
        d.variables, node_environment_extra={"NCCL_OURS": "1"}, node_environment_accepted_names=["NCCL_OURS"]
    ),
    "a pinned GID": lambda d: put(d.variables, rdma_gid_index=3, rdma_soft_roce=True, rdma_soft_roce_name="rocep1s0"),
    "two leaders on one port": lambda d: put(d.engines[1], port=8000),
    "two addresses per network": lambda d: [
        put(d.ends["node1"], address="192.168.100.0/31"),
        put(d.ends["node2"], address="192.168.100.1/31"),
    ],
}


@pytest.mark.parametrize("name", GOOD_CHANGES)
def test_nothing_is_wrong(draft: Any, name: str) -> None:
    GOOD_CHANGES[name](draft)
    problems = find_problems(draft.finish())
    assert not problems, format_problems(problems)


def test_all_mistakes_at_once(draft: Any) -> None:
    put(draft.variables, ray_prot=1, tandem_link="nolink")
    put(draft.engines[0], model="none", gpu_memory_utilization=2, dtype="fp16")
    message = format_problems(find_problems(draft.finish()))
    assert message.startswith("5 problems with the inventory; nothing was changed:\n- ray_prot: ")
    assert len(message.splitlines()) == 6


@pytest.mark.parametrize(
    "value",
    [None, 0, "text", [], {}, [None], [{}], [{"name": None}], [{"name": {}, "ends": [], "source": 1, "nodes": 1}]],
)
@pytest.mark.parametrize(
    "variable", ["link_links", "tandem_link", "model_weights_models", "vllm_engine_engines", "ray_head", "ray_port"]
)
def test_no_nonsense_ends_in_a_traceback(draft: Any, variable: str, value: Any) -> None:
    draft.variables[variable] = value
    for problem in find_problems(draft.finish()):
        assert problem.variable
        assert problem.remedy
