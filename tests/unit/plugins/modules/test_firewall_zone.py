"""The module against a firewalld that keeps zones as the real one does; the real one runs in molecule/base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.firewall import client
from plugins.module_utils.firewall.plan import State, plan, wanted_zone
from plugins.module_utils.firewall.zones import Zone, parse_zones
from plugins.module_utils.process import CommandResult, ToolMissing
from plugins.modules import firewall_zone

RunModule = Callable[..., dict[str, Any]]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "firewalld"
ARGUMENTS = {"zone": "tandem-management", "services": ["dhcpv6-client"], "accepted_zones": ["tandem-link"]}


class Firewalld:
    """Two sets of zones and a default, changed by the arguments of firewall-cmd."""

    def __init__(self, runtime: dict[str, Zone], permanent: dict[str, Zone], default: str) -> None:
        self.zones = {"runtime": dict(runtime), "permanent": dict(permanent)}
        self.default = default
        self.running = True
        self.calls: list[tuple[str, ...]] = []
        self.timer = False

    @classmethod
    def of_workstation(cls) -> Firewalld:
        texts = [(FIXTURES / f"zones-{kind}.txt").read_text() for kind in ("runtime", "permanent")]
        return cls(*map(parse_zones, texts), default="FedoraWorkstation")

    def state(self) -> State:
        return State(self.zones["runtime"], self.zones["permanent"], self.default)

    def __call__(self, argv: list[str], *, timeout_s: float) -> CommandResult:
        tool, *arguments = argv
        if tool == "systemd-run":
            self.timer = True
            self.calls.append(tuple(argv))
            return CommandResult(tuple(argv), 0, "", "")
        if tool == "systemctl":
            answer = 0 if self.timer else 3
            if arguments[0] == "stop":
                self.timer = False
            return CommandResult(tuple(argv), answer, "", "")
        if not self.running:
            return CommandResult(tuple(argv), 252, "", "FirewallD is not running\n")
        output = self.firewall_cmd(arguments)
        return CommandResult(tuple(argv), 0, output, "")

    def firewall_cmd(self, arguments: list[str]) -> str:  # noqa: PLR0911 (a table of commands)
        kind = "permanent" if "--permanent" in arguments else "runtime"
        values = dict(word.removeprefix("--").partition("=")[::2] for word in arguments)
        values.pop("permanent", None)
        zones = self.zones[kind]
        if "list-all-zones" in values:
            return "\n\n".join(show(zone) for zone in zones.values())
        if "get-default-zone" in values:
            return f"{self.default}\n"
        if "state" in values:
            return "running\n"
        self.calls.append(tuple(arguments))
        if "reload" in values:
            places = {name: zone.interfaces for name, zone in self.zones["runtime"].items()}
            self.zones["runtime"] = {
                name: replace(zone, interfaces=places.get(name, ())) for name, zone in self.zones["permanent"].items()
            }
            return "success\n"
        if "set-default-zone" in values:
            runtime, old, new = self.zones["runtime"], self.default, values["set-default-zone"]
            moving = tuple(i for i in runtime[old].interfaces if i not in self.zones["permanent"][old].interfaces)
            runtime[new] = replace(runtime[new], interfaces=runtime[new].interfaces + moving)
            runtime[old] = replace(runtime[old], interfaces=self.zones["permanent"][old].interfaces)
            self.default = new
            return "success\n"
        if "new-zone" in values:
            zones[values["new-zone"]] = Zone(values["new-zone"])
            return "success\n"
        name = values.pop("zone")
        ((change, value),) = values.items()
        zone = zones[name]
        if change == "set-target":
            zones[name] = replace(zone, target=value)
        else:
            verb, what = change.split("-")
            field = f"{what}s"
            had = getattr(zone, field)
            zones[name] = replace(zone, **{field: had | {value} if verb == "add" else had - {value}})
        return "success\n"


def show(zone: Zone) -> str:
    return "\n".join(
        [
            zone.name,
            f"  target: {zone.target}",
            f"  interfaces: {' '.join(zone.interfaces)}",
            f"  services: {' '.join(zone.services)}",
            f"  ports: {' '.join(zone.ports)}",
            "  rich rules: ",
            *(f"\t{rule}" for rule in zone.other_rules),
        ]
    )


@pytest.fixture
def firewalld(monkeypatch: pytest.MonkeyPatch) -> Firewalld:
    node = Firewalld.of_workstation()
    monkeypatch.setattr(firewall_zone, "Client", lambda: client.Client(node))
    monkeypatch.setattr(firewall_zone, "ssh_port_of_this_run", lambda *_: 22)
    return node


@pytest.fixture
def run(run_module: RunModule, firewalld: Firewalld) -> RunModule:
    return lambda **options: run_module(firewall_zone.main, **{**ARGUMENTS, **options})


def test_the_open_range_of_the_workstation_is_closed(run: RunModule, firewalld: Firewalld) -> None:
    result = run()

    assert result["changed"]
    assert result["undo_pending"]
    assert firewalld.default == "tandem-management"
    zone = firewalld.zones["runtime"]["tandem-management"]
    assert zone.interfaces == ("eth0",)
    assert zone.services == {"ssh", "dhcpv6-client"}
    assert zone.ports == frozenset()
    assert result["narrowed"] == ["mdns", "samba-client", "1025-65535/tcp", "1025-65535/udp"]
    assert firewalld.zones["permanent"]["tandem-management"].services == {"ssh", "dhcpv6-client"}


def test_the_way_back_is_there_before_the_default_changes(run: RunModule, firewalld: Firewalld) -> None:
    run(undo_after_s=45)

    *_, undo, move = firewalld.calls
    assert undo[:1] + undo[3:4] + undo[-2:] == (
        "systemd-run",
        "--on-active=45",
        "firewall-cmd",
        "--set-default-zone=FedoraWorkstation",
    )
    assert move == ("--set-default-zone=tandem-management",)
    assert run(state="confirmed")["changed"]
    assert not firewalld.timer
    assert not run(state="confirmed")["changed"]


def test_zones_of_others_stay_as_they_are(run: RunModule, firewalld: Firewalld) -> None:
    others = {name: zone for name, zone in firewalld.zones["permanent"].items() if name != "tandem-management"}

    run()

    assert {name: firewalld.zones["permanent"][name] for name in others} == others


def test_a_second_run_changes_nothing(run: RunModule, firewalld: Firewalld) -> None:
    run()
    firewalld.calls.clear()

    result = run()

    assert not result["changed"]
    assert not result["undo_pending"]
    assert firewalld.calls == []


def test_check_mode_says_the_same_and_asks_only(run: RunModule, firewalld: Firewalld) -> None:
    foretold = run(check_mode=True)

    assert firewalld.calls == []
    done = run()
    assert (foretold["changed"], foretold["narrowed"]) == (done["changed"], done["narrowed"])
    assert foretold["diff"] == done["diff"]


def test_what_somebody_opened_for_now_is_closed(run: RunModule, firewalld: Firewalld) -> None:
    run()
    zones = firewalld.zones["runtime"]
    zones["tandem-management"] = replace(zones["tandem-management"], ports=frozenset({"9000/tcp"}))
    firewalld.calls.clear()

    result = run()

    assert result["changed"]
    assert firewalld.calls == [("--zone=tandem-management", "--remove-port=9000/tcp")]


def test_a_link_in_a_zone_that_is_nobodys_is_refused(run: RunModule, firewalld: Firewalld) -> None:
    result = run(accepted_zones=[])

    assert result["open_zones"] == ["eth1 is in zone tandem-link, which opens everything (target ACCEPT)"]
    assert not result["changed"]
    assert firewalld.calls == []


def test_an_interface_that_was_bound_by_name_shows_after_the_change(run: RunModule, firewalld: Firewalld) -> None:
    real = firewalld.firewall_cmd

    def bound(arguments: list[str]) -> str:
        output = real(arguments)
        if arguments[0] == "--set-default-zone=tandem-management":
            # NetworkManager's profile names the zone, which firewalld does not tell.
            zones = firewalld.zones["runtime"]
            zones["FedoraWorkstation"] = replace(zones["FedoraWorkstation"], interfaces=("eth0",))
        return output

    firewalld.firewall_cmd = bound  # type: ignore[method-assign]

    result = run()

    assert result["changed"]
    assert result["open_zones"] == ["eth0 is in zone FedoraWorkstation, which opens 1025-65535/tcp, 1025-65535/udp"]


def test_ssh_stays_open_whatever_is_asked_for(
    run: RunModule, firewalld: Firewalld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewall_zone, "ssh_port_of_this_run", lambda *_: 2222)

    run(services=[], ports=[])

    zone = firewalld.zones["runtime"]["tandem-management"]
    assert "ssh" in zone.services
    assert zone.ports == {"2222/tcp"}


def test_rules_that_are_not_ours_are_left_to_their_owner(run: RunModule, firewalld: Firewalld) -> None:
    rule = ("rule service name=http accept",)
    firewalld.zones["permanent"]["tandem-management"] = Zone("tandem-management", other_rules=rule)

    result = run()

    assert "has rules that are not Tandem's: rule service name=http accept" in result["msg"]
    assert firewalld.calls == []


def test_a_wrong_port_is_refused(run: RunModule, firewalld: Firewalld) -> None:
    assert run(ports=["8080"])["msg"] == "'8080' is no port of firewalld; write 8080/tcp or 5000-5010/udp"
    assert firewalld.calls == []


def test_a_firewalld_that_does_not_run_is_said(run: RunModule, firewalld: Firewalld) -> None:
    firewalld.running = False

    result = run()

    assert (result["installed"], result["running"], result["changed"]) == (True, False, False)


def test_no_firewalld_is_said(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(argv: list[str], *, timeout_s: float) -> CommandResult:
        raise ToolMissing("firewall-cmd is not installed on this node")

    monkeypatch.setattr(firewall_zone, "Client", lambda: client.Client(missing))

    result = run_module(firewall_zone.main, **ARGUMENTS)

    assert (result["installed"], result["running"], result["changed"]) == (False, False, False)


def test_no_way_back_no_change(run: RunModule, firewalld: Firewalld, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_systemd_run(argv: list[str], *, timeout_s: float) -> CommandResult:
        if argv[0] == "systemd-run":
            return CommandResult(tuple(argv), 1, "", "Failed to start transient timer unit")
        return firewalld(argv, timeout_s=timeout_s)

    monkeypatch.setattr(firewall_zone, "Client", lambda: client.Client(without_systemd_run))

    result = run()

    assert "no way back could be prepared" in result["msg"]
    assert firewalld.default == "FedoraWorkstation"


zone_contents = st.builds(
    Zone,
    name=st.just("z"),
    target=st.sampled_from(["default", "ACCEPT", "DROP"]),
    services=st.frozensets(st.sampled_from(["ssh", "http", "mdns"])),
    ports=st.frozensets(st.sampled_from(["80/tcp", "1025-65535/tcp", "9000/udp"])),
)


@given(
    runtime=zone_contents,
    permanent=st.none() | zone_contents,
    default=st.sampled_from(["z", "public"]),
    services=st.lists(st.sampled_from(["ssh", "http", "dhcpv6-client"])),
    ports=st.lists(st.sampled_from(["80/tcp", "9000/udp", "22/tcp"])),
)
def test_any_firewalld_comes_to_what_is_wanted(
    runtime: Zone, permanent: Zone | None, default: str, services: list[str], ports: list[str]
) -> None:
    base = {"public": Zone("public", services=frozenset({"ssh"}))}
    if permanent is None:
        default = "public"
    node = Firewalld(
        base | ({"z": runtime} if permanent else {}), base | ({"z": permanent} if permanent else {}), default
    )
    wanted = wanted_zone("z", services, ports, 22)

    for call in plan(node.state(), wanted):
        node.firewall_cmd(call)

    assert plan(node.state(), wanted) == []
    for kind in ("runtime", "permanent"):
        zone = node.zones[kind]["z"]
        assert (zone.services, zone.ports) == (wanted.services, wanted.ports)
    assert node.zones["permanent"]["z"].target == "default"
    assert node.default == "z"


@given(
    st.frozensets(st.sampled_from(["ssh", "http"])), st.frozensets(st.sampled_from(["22/tcp", "80/tcp", "2222/tcp"]))
)
def test_ssh_is_open_at_every_step(services: frozenset[str], ports: frozenset[str]) -> None:
    """Whoever comes in by the default zone still does after each single call."""
    zone = Zone("z", services=services | {"ssh"}, ports=ports | {"2222/tcp"})
    node = Firewalld({"z": zone}, {"z": zone}, "z")

    for call in plan(node.state(), wanted_zone("z", [], [], 2222)):
        node.firewall_cmd(call)
        now = node.zones["runtime"][node.default]
        assert "ssh" in now.services
        assert "2222/tcp" in now.ports


def test_the_port_of_the_connection_is_found_above_sudo(tmp_path: Path) -> None:
    """This process (30) has no trace of it, nor has sudo (20); the shell that sshd started (10) has."""
    environments = {10: b"HOME=/root\0SSH_CONNECTION=10.0.0.9 50000 10.0.0.1 2222\0", 20: b"SUDO_UID=0\0", 30: b""}
    for pid, parent in ((10, 1), (20, 10), (30, 20)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(environments[pid])
        (tmp_path / str(pid) / "status").write_text(f"Name:\tx\nPPid:\t{parent}\n")

    assert client.ssh_port_of_this_run(tmp_path, 30) == 2222
    assert client.ssh_port_of_this_run(tmp_path, 99) == 22
    (tmp_path / "10" / "environ").write_bytes(b"SSH_CONNECTION=garbage\0")
    assert client.ssh_port_of_this_run(tmp_path, 30) == 22


def test_an_error_of_firewalld_is_told(run: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(argv: list[str], *, timeout_s: float) -> CommandResult:
        code = 0 if argv[1] == "--state" else 13
        return CommandResult(tuple(argv), code, "", "Error: COMMAND_FAILED\n")

    monkeypatch.setattr(firewall_zone, "Client", lambda: client.Client(failing))

    assert run()["msg"] == "firewall-cmd --list-all-zones failed (exit status 13): Error: COMMAND_FAILED"
