"""One engine over two nodes without Ray, as systemd and a client see it."""

import json

UNIT = "tandem-engine@smollm2.service"


def is_leader(host):
    return host.backend.get_hostname() == "node1"


def test_the_unit_runs_and_starts_at_boot(host):
    engine = host.service(UNIT)
    assert engine.is_running
    assert engine.is_enabled


def test_systemd_finds_nothing_wrong_with_the_unit(host):
    verified = host.run(f"systemd-analyze verify {UNIT}")
    assert "tandem-engine" not in verified.stderr, verified.stderr


def test_each_node_holds_one_rank_as_the_account(host):
    ranks = host.run("ps -eo user:20,args | grep -c '^tandem  *VLLM::Worker'")
    assert ranks.stdout.strip() == "1"


def test_the_api_answers_on_the_leaders_loopback_with_the_key_only(host):
    if not is_leader(host):
        assert not host.socket("tcp://8000").is_listening
        return
    assert host.socket("tcp://127.0.0.1:8000").is_listening
    assert not host.socket("tcp://0.0.0.0:8000").is_listening
    ask = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/v1/models"
    assert host.run(ask).stdout == "401"
    assert host.run(f'{ask} -H "Authorization: Bearer $(cat /etc/tandem/secrets/engine-smollm2.key)"').stdout == "200"


def test_a_rank_may_pin_memory_without_limit(host):
    # Asked of systemd, not of the process: a container without privileges cannot raise the limit that it was given.
    assert host.run(f"systemctl show -p LimitMEMLOCK {UNIT}").stdout.strip() == "LimitMEMLOCK=infinity"


def test_the_state_is_told(host):
    told = json.loads(host.run("cat /run/tandem-engine/smollm2/smollm2.json").stdout)
    assert told["state"] == "ready"
    assert told["generation"] >= 1
