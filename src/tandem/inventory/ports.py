"""Which ports a node will listen on, and whether two want the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tandem.inventory.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tandem.inventory.description import Cluster

#: Ports that one engine may take from vllm_engine_internal_port on; the next engine starts after them.
INTERNAL_PORTS_PER_ENGINE = 50
FIRST_UNPRIVILEGED = 1024
#: Upstream's router listens on these, Envoy's administration among them; nothing in its images changes them.
VLLM_SR_PORTS = (8080, 9190, 9901, 50051)
OUR_UNITS = ("tandem-",)


@dataclass(frozen=True)
class PortUse:
    """Ports first to last of a node, and the variable that chose them."""

    first: int
    last: int
    variable: str

    def overlaps(self, other: PortUse) -> bool:
        """Whether a port is in both."""
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        """Return the ports for a sentence."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def ports_of(cluster: Cluster, node: str) -> list[PortUse]:
    """Return what the services of a node will listen on."""
    settings, uses = cluster.settings, []
    if cluster.ray_engines() and node in cluster.hosts_of("ray"):
        uses += [
            PortUse(port, port, name)
            for name, port in settings.items()
            if name.startswith("ray_") and name.endswith("_port") and port
        ]
        first, last = settings.get("ray_worker_port_min"), settings.get("ray_worker_port_max")
        if first and last and first <= last:
            uses.append(PortUse(first, last, "ray_worker_port_min"))
    for place, engine in enumerate(cluster.engines):
        nodes = engine["nodes"] or []
        if node in nodes:
            uses += _engine_ports(engine, place, is_leader=node == nodes[0], settings=settings)
    return uses + list(_router_ports(cluster.routers.get(node)))


def _router_ports(settings: Mapping[str, Any] | None) -> Iterator[PortUse]:
    if settings is None:
        return
    names = ["model_router_port", "model_router_metrics_port"]
    if settings.get("model_router_engine") == "vllm_sr":
        names.append("model_router_looper_port")
        yield from (PortUse(port, port, "model_router_engine: vllm_sr") for port in VLLM_SR_PORTS)
    for name in names:
        if settings.get(name):
            yield PortUse(settings[name], settings[name], name)


def _engine_ports(
    engine: Mapping[str, Any], place: int, *, is_leader: bool, settings: Mapping[str, Any]
) -> Iterator[PortUse]:
    if is_leader and engine["port"]:
        yield PortUse(engine["port"], engine["port"], f"vllm_engine_engines[{engine['name']}].port")
    # The leader's supervisor waits for the others, and torch for the other ranks where Ray does not join them.
    names = ["vllm_engine_group_port"]
    if engine["executor"] == "mp" and len(engine["nodes"]) > 1:
        names.append("vllm_engine_master_port")
    for name in names if is_leader else []:
        if settings.get(name):
            yield PortUse(settings[name] + place, settings[name] + place, name)
    internal = settings.get("vllm_engine_internal_port")
    if internal:
        first = internal + place * INTERNAL_PORTS_PER_ENGINE
        yield PortUse(first, first + INTERNAL_PORTS_PER_ENGINE - 1, "vllm_engine_internal_port")


def find_port_problems(cluster: Cluster) -> Iterator[Problem]:
    """Find ports that two of a node's services want, and ports that a service may not have."""
    settings = cluster.settings
    first, last = settings.get("ray_worker_port_min"), settings.get("ray_worker_port_max")
    if first and last and first > last:
        yield Problem("ray_worker_port_max", f"found {last}", f"give at least ray_worker_port_min, which is {first}")
    for node in cluster.hosts_of("nodes"):
        uses = ports_of(cluster, node)
        for place, use in enumerate(uses):
            if use.first < FIRST_UNPRIVILEGED or use.last > 65535:
                yield Problem(use.variable, f"port {use}", "use ports from 1024 to 65535: services do not run as root")
            for other in uses[:place]:
                if use.overlaps(other):
                    yield Problem(
                        use.variable, f"port {use} on {node} is taken by {other.variable} ({other})", "choose another"
                    )


def find_taken_ports(cluster: Cluster, node: str, sockets: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Find ports that a process which is not ours already listens on.

    ``sockets`` is what the module listening_socket_info returned on the node.
    """
    for use in ports_of(cluster, node):
        for socket in sockets:
            unit = socket.get("unit") or ""
            if (
                socket["protocol"] == "tcp"
                and use.first <= socket["port"] <= use.last
                and not unit.startswith(OUR_UNITS)
            ):
                owner = f"{socket.get('process') or 'an unknown process'} (process id {socket.get('pid') or 'unknown'}"
                owner += f", unit {unit})" if unit else ")"
                yield Problem(
                    use.variable,
                    f"port {socket['port']} on {node} is in use by {owner}, listening on {socket['address']}",
                    "stop that, or choose another port",
                )
