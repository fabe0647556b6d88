"""The files that roles write, against copies that a person has read. TANDEM_WRITE_GOLDEN=1 writes the copies anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.roles.render import render

GOLDEN = Path(__file__).parent / "golden"

NODE_FILES = [
    ("node_environment", "node.env.j2"),
    ("ray", "tandem-ray.service.j2"),
    ("vllm_engine", "tandem-engine@.service.j2"),
]
ENGINE_FILES = ["serve.yaml.j2", "rank.json.j2", "engine.env.j2"]
CASES = [("lab", node, role, template) for node in ("node1", "node2") for role, template in NODE_FILES]
CASES += [("lab", node, "vllm_engine", template) for node in ("node1", "node2") for template in ENGINE_FILES]
CASES += [("strix-halo", node, "vllm_engine", template) for node in ("strix1", "strix2") for template in ENGINE_FILES]
CASES += [("strix-halo", "strix1", "vllm_engine", "tandem-engine.container.j2")]
CASES += [("strix-halo", node, "node_environment", "node.env.j2") for node in ("strix1", "strix2")]
RDMA_FILES = ["tandem-soft-roce.service.j2", "tandem-roce-mode.service.j2", "50-tandem-flow-control.j2"]
CASES += [("strix-halo", "strix1", "rdma", template) for template in RDMA_FILES]
MEMORY_FILES = ["ssh.conf.j2", "tandem.slice.j2", "sysctl.conf.j2", "zram-generator.conf.j2"]
CASES += [("strix-halo", "strix1", "memory_guard", template) for template in MEMORY_FILES]
CASES += [("strix-halo", "strix1", "journal", "journald.conf.j2")]
ROUTER_FILES = ["router.yaml.j2", "tandem-router.service.j2"]
CASES += [
    (*place, "model_router", file) for place in (("lab", "node1"), ("strix-halo", "strix1")) for file in ROUTER_FILES
]
#: Upstream's router, which no inventory here has: with TLS, so that all of its lines are there.
VLLM_SR_FILES = ["tandem-router-upstream.container.j2", "tandem-router-envoy.container.j2"]
VLLM_SR = {
    "model_router_engine": "vllm_sr",
    "model_router_vllm_sr_image": "registry.example/vllm-sr:v0.4.0",
    "model_router_envoy_image": f"registry.example/envoy@sha256:{'0' * 64}",
    "model_router_tls_certificate": "/etc/pki/tls/certs/router.pem",
    "model_router_tls_key": "/etc/pki/tls/private/router.pem",
}
CASES += [("strix-halo", "strix1", "model_router", file) for file in VLLM_SR_FILES]


@pytest.mark.parametrize(("inventory", "node", "role", "template"), CASES)
def test_a_file_is_as_read(inventory: str, node: str, role: str, template: str) -> None:
    from tests.unit.roles.render import _variables

    engine = _variables(inventory, node)["vllm_engine_engines"][0]
    more = VLLM_SR if template in VLLM_SR_FILES else {}
    written = render(inventory, node, role, template, engine=engine, **more)
    copy = GOLDEN / inventory / node / template.removesuffix(".j2")
    if os.environ.get("TANDEM_WRITE_GOLDEN") == "1":
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(written)
    assert written == copy.read_text()


def test_every_copy_is_compared() -> None:
    compared = {GOLDEN / inventory / node / template.removesuffix(".j2") for inventory, node, _, template in CASES}
    assert {path for path in GOLDEN.rglob("*") if path.is_file()} == compared
