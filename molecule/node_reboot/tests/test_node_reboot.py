"""Reboots with and without consent, nodes that come back and one that does not. Each goes on from the one before."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))
from tests import plays  # noqa: E402 -- not a package that pytest knows here

NODES = ("node1", "node2")
CONSENT = {"tandem_reboot_allowed": True}
# When the node's first process started, in ticks since this machine did.
BOOT = "cut -d' ' -f22 /proc/1/stat"


def ssh(node, command, timeout_sec=60):
    argv = [
        "ssh",
        "-n",
        "-F",
        ".lab/molecule/ssh_config",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=5",
        node,
        command,
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=timeout_sec, check=False)
    assert done.returncode == 0, f"{node}: {command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def boots():
    return {node: int(ssh(node, BOOT)) for node in NODES}


def ask(*nodes):
    for node in nodes:
        ssh(node, "touch /run/molecule-asks")


def run(*arguments, playbook="molecule/node_reboot/converge.yml", **variables):
    engines = yaml.safe_load((ROOT / "molecule/node_reboot/vars/engines.yml").read_text())
    return plays.play(
        "inventories/lab", "-i", "molecule/shared/inventory", playbook, *arguments,
        variables={"node_reboot_settle_timeout_sec": 40} | engines | variables,
        environment={"ANSIBLE_CACHE_PLUGIN": "memory", "MOLECULE_PROJECT_DIRECTORY": str(ROOT)},
        timeout_sec=200,
    )  # fmt: skip


def complete(node, port, engine, prompt):
    body = json.dumps({"model": "m", "prompt": prompt, "max_tokens": 1})
    key = f"/etc/tandem/secrets/engine-{engine}.key"
    url = f"http://127.0.0.1:{port}/v1/completions"
    return ssh(node, f"curl -sS -m 40 -H \"Authorization: Bearer $(cat {key})\" -d '{body}' {url}")


def state(node, engine):
    return json.loads(ssh(node, f"cat /run/tandem-engine/{engine}/{engine}.json"))


def test_nothing_is_done_where_nothing_asks():
    before = boots()
    done = run(**CONSENT)
    assert done.returncode == 0, done
    assert done.changed == ()
    assert boots() == before


def test_without_consent_and_in_check_mode_the_run_only_speaks():
    ask(*NODES)
    before = boots()
    generations = [state("node1", "both")["generation"], state("node2", "second")["generation"]]
    for arguments, variables, words in (
        ((), {}, "playbooks/reboot.yml -e tandem_reboot_allowed=true"),
        (("--check",), CONSENT, "They would be rebooted, one after the other"),
    ):
        done = run(*arguments, **variables)
        assert done.returncode == 0, done
        assert done.changed == (), done
        said = "".join(done.said)
        assert "2 nodes need a reboot." in said
        assert "node1: sample: a file says so. First it lets engine both end" in said
        assert words in said
    assert boots() == before
    assert [state("node1", "both")["generation"], state("node2", "second")["generation"]] == generations


def test_both_reboot_in_turn_and_a_request_under_way_finishes():
    before = boots()
    answers = []
    request = threading.Thread(target=lambda: answers.append(complete("node1", 8000, "both", "slow")))
    request.start()
    done = run(**CONSENT)
    request.join()
    assert done.returncode == 0, done
    assert json.loads(answers[0])["choices"][0]["text"] == "done"
    after = boots()
    # node1 was back, and its engine had its ranks again, before node2 went down.
    assert before["node1"] < after["node1"] < after["node2"]
    reboots = [name for name in done.changed if "Reboot@" in name]
    assert reboots == ["node_reboot : Reboot@node1", "node_reboot : Reboot@node2"]
    assert "done" in complete("node1", 8000, "both", "x")
    assert "done" in complete("node2", 8010, "second", "x")
    for node in NODES:
        assert ssh(node, "systemctl is-active tandem-sample.service") == "active"


def test_a_second_run_leaves_them_alone():
    before = boots()
    done = run(**CONSENT)
    assert (done.returncode, done.changed) == (0, ()), done
    assert boots() == before


def test_a_node_that_does_not_come_back_stops_the_run_and_the_next_run_goes_on_from_there():
    ask(*NODES)
    before = boots()
    ssh("node1", "systemctl mask ssh.service")
    done = run(**CONSENT, node_reboot_timeout_sec=6)
    assert done.returncode != 0
    assert "node1 was told to reboot and did not come back within 6 s (node_reboot_timeout_sec)" in done.output
    assert "(left as they are: node2)" in done.output
    assert int(ssh("node2", BOOT)) == before["node2"]
    assert state("node2", "second")["state"] == "ready"
    # Somebody went to its console.
    repair = "systemctl unmask ssh.service && systemctl start ssh.service"
    subprocess.run(
        ["scripts/lab-podman", "exec", "tandem-molecule-node1", "sh", "-c", repair], cwd=ROOT, check=True, timeout=60
    )
    between = boots()
    assert between["node1"] > before["node1"]

    again = run(**CONSENT)
    assert again.returncode == 0, again
    assert boots()["node1"] == between["node1"]
    assert boots()["node2"] > before["node2"]
    assert "done" in complete("node1", 8000, "both", "x")


def compare(**variables):
    return run(playbook="playbooks/equality.yml", **variables)


def test_equal_nodes_pass_and_an_exception_that_is_not_needed_is_told():
    for node in NODES:
        ssh(node, "mkdir -p /opt/tandem/engine/aaaaaaaaaaaa && ln -sfn aaaaaaaaaaaa /opt/tandem/engine/current")
    done = compare(node_equality_allowed=[{"name": "link0 MTU", "reason": "none"}])
    assert done.returncode == 0, done
    said = "".join(done.said)
    assert "equal on node1, node2, none differs" in said
    assert "nothing named 'link0 MTU' differs; take the entry out" in said


def test_differences_are_a_table_and_end_the_run_unless_they_are_allowed():
    ssh("node2", "ip link set eth1 mtu 1500; ln -sfn bbbbbbbbbbbb /opt/tandem/engine/current")
    done = compare()
    assert done.returncode != 0
    assert "link0 MTU       9000          1500          must be equal" in done.output
    assert "runtime engine  aaaaaaaaaaaa  bbbbbbbbbbbb  must be equal" in done.output
    reasons = [
        {"name": "link0 MTU", "reason": "a test"},
        {"name": "runtime *", "nodes": ["node2"], "reason": "another"},
    ]
    done = compare(node_equality_allowed=reasons)
    assert done.returncode == 0, done
    assert "allowed: another" in "".join(done.said)
