"""Every port that Ray and the ranks listen on by default is one that the port guard keeps on links."""

import yaml
from files import ROOT

from tandem.inventory.ports import INTERNAL_PORTS_PER_ENGINE


def defaults(role: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text())
    return found


def test_the_guard_knows_every_port() -> None:
    guarded = set()
    for entry in defaults("port_guard")["port_guard_ports"]:
        first, _, last = str(entry).partition("-")
        guarded |= set(range(int(first), int(last or first) + 1))
    ray, engine = defaults("ray"), defaults("vllm_engine")
    ports = {
        name: value for name, value in (ray | engine).items() if name.endswith(("_port", "_port_min", "_port_max"))
    }
    ports["the last internal port of the first engine"] = (
        engine["vllm_engine_internal_port"] + INTERNAL_PORTS_PER_ENGINE - 1
    )
    assert not {name: port for name, port in ports.items() if port not in guarded}
