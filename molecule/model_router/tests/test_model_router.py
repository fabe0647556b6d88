"""The router on its node, as systemd and a client see it. Two scripted engines stand behind it."""

import json

UNIT = "tandem-router.service"
SECRETS = "/etc/tandem/secrets/router"
URL = "http://127.0.0.1:8801"


def ask(host, path, body=None, *, key=f"$(cat {SECRETS}/CLIENT_LAB)"):
    """Return the status and the body of an answer."""
    data = f"--header 'Content-Type: application/json' --data '{json.dumps(body)}'" if body is not None else ""
    done = host.run(f"curl -s -w '\\n%{{http_code}}' -H \"Authorization: Bearer {key}\" {data} {URL}{path}")
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def chat(host, model, words):
    status, text = ask(host, "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": words}]})
    assert status == 200, text
    return json.loads(text)["choices"][0]["message"]["content"]


def test_the_unit_runs_and_starts_at_boot(host):
    router = host.service(UNIT)
    assert router.is_running
    assert router.is_enabled


def test_systemd_finds_nothing_wrong_with_the_unit(host):
    verified = host.run(f"systemd-analyze verify {UNIT}")
    assert "tandem-router" not in verified.stderr, verified.stderr


def test_it_listens_on_loopback_only(host):
    for port in (8801, 8803):
        assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
        assert not host.socket(f"tcp://0.0.0.0:{port}").is_listening


def test_a_name_of_an_engine_passes_through(host):
    assert chat(host, "smollm2", "anything") == "I am smollm2"
    assert chat(host, "second", "hello") == "I am second"


def test_a_request_is_routed_by_its_words(host):
    assert chat(host, "auto", "hello there") == "I am smollm2"
    assert chat(host, "auto", "the weather") == "I am second"


def test_the_models_are_listed(host):
    status, text = ask(host, "/v1/models")
    assert status == 200
    assert {"smollm2", "second", "vllm-sr/auto"} <= {model["id"] for model in json.loads(text)["data"]}


def test_a_wrong_key_gets_nothing(host):
    for key in ("wrong", "", "smollm2-0123456789abcdef", "$(cat /etc/tandem/secrets/router/ENGINE_SMOLLM2)"):
        assert ask(host, "/v1/models", key=key)[0] == 401, key
    assert ask(host, "/metrics", key="wrong")[0] == 401


def test_what_engines_have_beside_v1_is_hidden(host):
    for path in ("/pause", "/update_weights", "/invocations", "/tokenize", "/v1/../pause", "//pause"):
        assert ask(host, path, {})[0] == 404, path


def test_metrics_have_a_port_without_models(host):
    assert "tandem_router" in host.run("curl -s http://127.0.0.1:8803/metrics").stdout
    assert host.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8803/v1/models").stdout == "404"


def test_keys_are_in_no_file_that_others_read_and_in_no_command_line(host):
    keys = [host.file(f"{SECRETS}/{name}").content_string.strip() for name in host.file(SECRETS).listdir()]
    assert len(keys) == 3
    assert host.file(SECRETS).mode == 0o700
    process = host.run(f"systemctl show -p MainPID --value {UNIT}").stdout.strip()
    told = host.run(f"cat /etc/tandem/router/router.yaml /etc/systemd/system/{UNIT} /proc/{process}/cmdline")
    environment = host.run(f"cat /proc/{process}/environ").stdout
    log = host.run(f"journalctl --no-pager -u {UNIT}").stdout
    for key in keys:
        assert len(key) > 16
        assert key not in told.stdout + environment + log
    assert "${CLIENT_LAB}" in told.stdout


def test_the_service_has_an_account_of_its_own_and_can_do_little(host):
    shown = host.run(f"systemctl show {UNIT} -p CapabilityBoundingSet -p NoNewPrivileges -p UMask").stdout
    assert "NoNewPrivileges=yes" in shown
    assert "CapabilityBoundingSet=\n" in shown
    process = host.run(f"systemctl show -p MainPID --value {UNIT}").stdout.strip()
    assert host.run(f"stat -c %U /proc/{process}").stdout.strip() == "tandem-router"
    assert host.run("su -s /bin/sh tandem-router -c 'ls /etc/tandem'").rc != 0


def test_it_comes_back_after_a_crash(host):
    before = host.run(f"systemctl show -p MainPID --value {UNIT}").stdout
    host.check_output(f"systemctl kill --signal KILL {UNIT}")
    waited = host.run(f"for i in $(seq 30); do curl -sf {URL}/ready && break; sleep 1; done")
    assert waited.rc == 0
    assert host.run(f"systemctl show -p MainPID --value {UNIT}").stdout != before
