"""What a role's template becomes on a node, rendered by Ansible's own engine with the real inventory and defaults."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader
from ansible.template import Templar, trust_as_template
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).parents[3]
ROLES = ("cluster_secrets", "journal", "memory_guard", "model_router", "node_environment", "ray", "rdma", "vllm_engine")
CARD = {"interface": "enp194s0np0"}
#: What a node would answer.
ANSWERS: dict[str, Any] = {
    "__node_environment_rdma": {"devices": [{"name": "rocep194s0", "ports": [{"port": 1, "netdev": "enp194s0np0"}]}]},
    "__rdma_driver_files": {"results": [{"item": CARD, "stat": {"lnk_source": "/sys/bus/pci/drivers/ice"}}]},
    "__rdma_card_files": {"results": [{"item": CARD, "stat": {"lnk_source": "/sys/devices/pci0000:c0/0000:c2:00.0"}}]},
    "__rdma_network": {"interfaces": [{"name": "enp194s0np0", "pause": {"autonegotiate": True}}]},
    "item": {
        "name": "link0",
        "interface": "enp194s0np0",
        "soft_roce": "rxe_enp194s0np0",
        "device_unit": "sys-subsystem-net-devices-enp194s0np0.device",
    },
    "ansible_managed": "Ansible managed",
    "__ray_program": {"stat": {"lnk_target": "0123456789ab"}},
    "__model_router_program": {"stat": {"lnk_target": "0123456789ab"}},
    "__vllm_engine_programs": {
        "results": [
            {"item": "engine", "stat": {"lnk_target": "0123456789ab"}},
            {"item": "tandem", "stat": {"lnk_target": "ba9876543210"}},
        ]
    },
}


@cache
def _variables(inventory: str, node: str) -> dict[str, Any]:
    loader = DataLoader()
    manager = VariableManager(loader, InventoryManager(loader, [str(ROOT / "inventories" / inventory)]))
    described = manager.get_vars(host=manager._inventory.get_host(node))
    files = [ROOT / "roles" / role / kind / "main.yml" for kind in ("defaults", "vars") for role in ROLES]
    read = {path: loader.load_from_file(str(path), trusted_as_template=True) or {} for path in files if path.exists()}
    defaults = {
        key: value
        for path, document in read.items()
        if path.parent.name == "defaults"
        for key, value in document.items()
    }
    internals = {
        key: value for path, document in read.items() if path.parent.name == "vars" for key, value in document.items()
    }
    end = described["link_links"][0]["ends"][node]
    device = end.get("interface", "enp194s0np0")
    facts = {
        "python": {"version": {"major": 3, "minor": 14}},
        "interfaces": [device],
        device: {"device": device, "type": "ether", "macaddress": end.get("mac_address", "02:00:00:00:00:01")},
    }
    return defaults | described | internals | ANSWERS | {"ansible_facts": facts, "inventory_hostname": node}


def render(inventory: str, node: str, role: str, template: str, **extra: Any) -> str:
    """Return the text that ``roles/ROLE/templates/TEMPLATE`` becomes on ``node`` of ``inventories/INVENTORY``."""
    filter_loader.add_directory(str(ROOT / "plugins/filter"))
    source = (ROOT / "roles" / role / "templates" / template).read_text()
    templar = Templar(DataLoader(), _variables(inventory, node) | extra)
    return str(templar.template(trust_as_template(source)))
