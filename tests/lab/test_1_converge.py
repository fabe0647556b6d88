"""From bare nodes to an answer, and nothing left to change. The tests of this folder run in order, on one lab."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab


def test_check_mode_passes_on_bare_nodes_and_changes_nothing() -> None:
    done = lab.playbook("site.yml", "--check", "--diff")
    assert done.returncode == 0, done
    assert done.changed, "check mode must say what it would change"
    for node in lab.NODES:
        assert lab.ssh(node, "ls /etc/tandem /opt/tandem 2>/dev/null; getent passwd tandem", check=False) == ""


def test_make_lab_ends_with_an_answer_in_english() -> None:
    done = subprocess.run(["make", "lab"], cwd=lab.ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "The capital of France is Paris." in done.stdout
    assert "Paris" in lab.ask("What is the capital of France?")


def test_a_second_converge_changes_nothing() -> None:
    before = [lab.unit(node)["MainPID"] for node in lab.NODES]
    done = lab.playbook("site.yml")
    assert done.returncode == 0, done
    assert done.changed == (), done
    assert [lab.unit(node)["MainPID"] for node in lab.NODES] == before


def test_secrets_are_readable_by_root_only_and_in_no_command_line() -> None:
    for node in lab.NODES:
        secrets = lab.ssh(node, "find /etc/tandem/secrets -exec stat -c '%a %U' {} +")
        assert set(secrets.splitlines()) == {"600 root", "700 root"}
        values = lab.ssh(node, r"find /etc/tandem/secrets -type f -exec sh -c 'cat $1; echo' sh {} \;").split()
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


def test_only_ssh_is_open_to_the_management_network() -> None:
    """Asked from a third machine on that network, which knows every port that anything on the nodes listens on."""
    for node in lab.NODES:
        address = lab.ssh(node, "ip -4 -o address show eth0 | awk '{print $4}' | cut -d/ -f1")
        ports = lab.ssh(node, "ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -nu").split()
        assert {"22", "6380"} <= set(ports)
        assert lab.open_from_management(address, ports) == ["22"]


def test_rays_ports_answer_on_the_link() -> None:
    assert lab.ssh("node2", "timeout 3 bash -c 'exec 3<>/dev/tcp/192.168.100.1/6379' && echo open") == "open"


def test_the_tests_of_the_ray_role_pass_on_the_lab() -> None:
    lab.role_tests("ray")


def test_weights_of_a_hub_are_downloaded_once_and_copied() -> None:
    """Only the hub is not real: a server on node1 that answers as its API does (tests/lab/hub.py)."""
    commit = "a09a35458c702b33eeacc393d103063234e8bc28"
    lab.copy("node1", lab.ROOT / "tests/lab/hub.py", "/run/hub.py")
    lab.ssh("node1", f"systemd-run --quiet --unit=hub python3 /run/hub.py {commit}")
    variables = {
        "model_weights_models": [
            {"name": "hubbed", "source": {"hub": {"repository": "tandem/tiny", "revision": commit}}}
        ],
        "vllm_engine_engines": [
            {"name": "hubbed", "model": "hubbed", "served_model_name": "h", "nodes": ["node1", "node2"],
             "tensor_parallel_size": 2, "port": 8000}
        ],
        "model_weights_hub_url": "http://127.0.0.1:8099",
    }  # fmt: skip
    try:
        done = lab.playbook("site.yml", "--tags", "model_weights", variables=variables)
        assert done.returncode == 0, done
        requests = lab.ssh("node1", "journalctl --no-pager -o cat -u hub")
        assert requests.count("GET /tandem/tiny/resolve") == 2, requests
    finally:
        lab.ssh("node1", "systemctl stop hub")
    check = f"cd /var/lib/tandem/models/hubbed/{commit} && sha256sum -c /etc/tandem/models/hubbed@{commit}.sha256"
    for node in lab.NODES:
        assert lab.ssh(node, check).count(": OK") == 2
    # Offline from here on: what is there is enough.
    again = lab.playbook("site.yml", "--tags", "model_weights", variables=variables)
    assert again.changed == (), again
