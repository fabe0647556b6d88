"""What ranks on a node are told."""

import json

ADDRESSES = {"node1": "192.168.100.1", "node2": "192.168.100.2"}


def environment(host):
    lines = host.file("/etc/tandem/node.env").content_string.splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_interface_and_address_are_those_of_the_link(host):
    found = environment(host)
    assert found["VLLM_HOST_IP"] == ADDRESSES[host.backend.get_hostname()]
    assert found["GLOO_SOCKET_IFNAME"] == "eth1"
    assert found["NCCL_SOCKET_IFNAME"] == "=eth1", "NCCL takes a bare name as a prefix"


def test_a_link_of_tcp_is_not_searched_for_rdma(host):
    found = environment(host)
    assert found["NCCL_IB_DISABLE"] == "1"
    assert not {"NCCL_IB_HCA", "NCCL_NET"} & found.keys()


def test_nothing_is_reported_or_fetched(host):
    found = environment(host)
    assert {found[name] for name in ("HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK")} == {"1"}
    assert found["RAY_USAGE_STATS_ENABLED"] == "0"


def test_what_belongs_to_one_node_is_not_copied_to_others(host):
    kept = json.loads(host.file("/etc/tandem/vllm/ray_non_carry_over_env_vars.json").content_string)
    assert {"VLLM_HOST_IP", "NCCL_SOCKET_IFNAME", "NCCL_IB_HCA", "NCCL_NET", "VLLM_API_KEY"} <= set(kept)


def test_systemd_reads_the_file_as_meant(host):
    shown = host.run("systemd-run --quiet --wait --pipe -p EnvironmentFile=/etc/tandem/node.env /usr/bin/env").stdout
    assert "NCCL_SOCKET_IFNAME==eth1\n" in shown
