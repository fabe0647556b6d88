"""Ray asks for the token and shows no dashboard. The lab's tests run these too, and see it come back after faults."""

import pytest

PYTHON = "/opt/tandem/engine/current/venv/bin/python"
SCRIPT = "import ray; ray.init('192.168.100.1:6379'); print(len(ray.nodes()))"
JOIN = f'timeout 60 {PYTHON} -c "{SCRIPT}"'


def test_the_unit_runs_and_starts_at_boot(host):
    ray = host.service("tandem-ray.service")
    assert ray.is_running
    assert ray.is_enabled


def test_systemd_finds_nothing_wrong_with_the_unit(host):
    verified = host.run("systemd-analyze verify tandem-ray.service")
    assert "tandem-ray" not in verified.stderr, verified.stderr


def test_the_dashboard_is_off(host):
    assert not host.socket("tcp://127.0.0.1:8265").is_listening


@pytest.fixture
def client(host):
    """Each attempt takes Ray 20 s: one node's are enough."""
    if host.backend.get_hostname() != "node2":
        pytest.skip("clients are tried on node2")
    return host


def test_a_client_without_the_token_is_refused(client):
    refused = client.run(f"env -u RAY_AUTH_MODE {JOIN}")
    assert refused.rc != 0
    assert "token" in refused.stderr.lower(), refused.stderr[-500:]


def test_a_client_with_a_wrong_token_is_refused(client):
    assert client.run(f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN={'0' * 64} {JOIN}").rc != 0
