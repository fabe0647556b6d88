"""Transcripts: module arguments, the exact commands with their recorded answers, the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from plugins.module_utils.link.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from plugins.module_utils.link.profile import MANAGED_PROPERTIES
from plugins.module_utils.process import CommandResult, CommandTimeout, ToolMissing
from plugins.modules import link_profile

FIXTURES = Path(__file__).parents[3] / "fixtures" / "nmcli"
LIST = "nmcli -t -f NAME,UUID,TYPE,AUTOCONNECT,AUTOCONNECT-PRIORITY connection show"
STATUS = "nmcli -t -f DEVICE,TYPE,STATE,CONNECTION,CON-UUID device status"
ADDRESSES = "ip -j -d address show"
LINK0 = "f719ef45-001d-4f69-8122-17b5358c89a2"
OFFICE = "bf63a371-e2ec-45d7-8827-1a202aa88966"
SHOW = f"nmcli -t -f {','.join(MANAGED_PROPERTIES)} connection show uuid {LINK0}"
UP = f"nmcli --wait 45 connection up uuid {LINK0} ifname eth1"
ADD = (
    "nmcli connection add type ethernet con-name link0 ifname eth1 connection.autoconnect yes "
    "connection.autoconnect-priority 100 802-3-ethernet.mtu 9000 ipv4.method manual ipv4.addresses 192.168.100.1/30 "
    "ipv4.never-default yes ipv4.may-fail no ipv6.method link-local"
)
PRESENT = {"name": "link0", "interface": "eth1", "address": "192.168.100.1/30", "mtu_bytes": 9000}


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def look(state: str) -> list[tuple[str, str]]:
    return [
        (LIST, text(f"connections-{state}.txt")),
        (STATUS, text(f"devices-{state}.txt")),
        (ADDRESSES, text(f"addresses-{state}.json")),
    ]


def after_activation() -> list[tuple[str, str]]:
    return [(UP, ""), (SHOW, text("profile-link0.txt")), *look("link0")[1:]]


@dataclass
class Transcript:
    """Answers in order; an unexpected command fails the test."""

    steps: list[tuple[str, str | CommandResult | Exception]]
    seen: list[str] = field(default_factory=list)

    def __call__(self, argv: Any, *, timeout_s: float) -> CommandResult:
        command = " ".join(argv)
        assert len(self.seen) < len(self.steps), f"unexpected: {command}"
        wanted, answer = self.steps[len(self.seen)]
        assert command == wanted
        self.seen.append(command)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, CommandResult) else CommandResult(tuple(argv), 0, answer, "")


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def run_module(
        arguments: dict[str, Any], steps: list[tuple[str, Any]], *, check_mode: bool = False
    ) -> dict[str, Any]:
        transcript = Transcript(steps)
        monkeypatch.setattr(link_profile, "run_command", transcript)
        given = {**arguments, "checkpoint_directory": str(tmp_path), "_ansible_check_mode": check_mode}
        with patch_module_args(given), pytest.raises(SystemExit):
            link_profile.main()
        assert len(transcript.seen) == len(steps), f"not run: {steps[len(transcript.seen) :]}"
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run_module


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "link0.checkpoint.json"


def test_a_missing_profile_is_made_activated_and_read_back(run: Run, checkpoint: Path) -> None:
    steps = [*look("bare"), (ADD, ""), (LIST, text("connections-link0.txt")), *after_activation()]
    result = run(PRESENT, steps)
    assert (result["changed"], result["checkpoint"], result["interface"]) == (True, True, "eth1")
    assert "device state: disconnected\n" in result["diff"]["before"]
    assert "device addresses: 192.168.100.1/30\n" in result["diff"]["after"]
    assert read_checkpoint(checkpoint) == Checkpoint("eth1", None, "")


def test_check_mode_reads_and_promises_the_same(run: Run, checkpoint: Path) -> None:
    result = run(PRESENT, look("bare"), check_mode=True)
    assert (result["changed"], result["checkpoint"]) == (True, True)
    assert "device addresses: 192.168.100.1/30\n" in result["diff"]["after"]
    assert not checkpoint.exists()


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_link_that_is_up_is_left_alone(run: Run, checkpoint: Path, check_mode: bool) -> None:
    result = run(PRESENT, [*look("link0"), (SHOW, text("profile-link0.txt"))], check_mode=check_mode)
    assert (result["changed"], result["checkpoint"]) == (False, False)
    assert result["diff"]["before"] == result["diff"]["after"]
    assert not checkpoint.exists()


def test_an_interrupted_run_still_has_its_way_back(run: Run, checkpoint: Path) -> None:
    write_checkpoint(checkpoint, Checkpoint("eth1", None, OFFICE))
    result = run(PRESENT, [*look("link0"), (SHOW, text("profile-link0.txt"))])
    assert (result["changed"], result["checkpoint"]) == (False, True)


def test_only_what_differs_is_modified_and_the_former_is_kept(run: Run, checkpoint: Path) -> None:
    former = text("profile-link0.txt").replace("mtu:9000", "mtu:1500")
    modify = f"nmcli connection modify uuid {LINK0} 802-3-ethernet.mtu 9000"
    listing = (LIST, text("connections-link0.txt"))
    result = run(PRESENT, [*look("link0"), (SHOW, former), (modify, ""), listing, *after_activation()])
    assert result["changed"]
    kept = read_checkpoint(checkpoint)
    assert kept is not None
    assert kept.properties is not None
    assert (kept.properties["802-3-ethernet.mtu"], kept.active_profile_uuid) == ("1500", LINK0)


PAUSE_ON = "ethtool.pause-autoneg off ethtool.pause-rx on ethtool.pause-tx on"
PAUSE_LINES = "ethtool.pause-autoneg:off\nethtool.pause-rx:on\nethtool.pause-tx:on\n"
#: As NetworkManager 1.42 prints a profile that had flow control once.
UNSET_LINES = "ethtool.pause-autoneg:\nethtool.pause-rx:\nethtool.pause-tx:\n"


def test_flow_control_is_set_once(run: Run, checkpoint: Path) -> None:
    """A profile without it has no such lines at all."""
    show = [*look("link0"), (SHOW, text("profile-link0.txt"))]
    modify = (f"nmcli connection modify uuid {LINK0} {PAUSE_ON}", "")
    paused = (SHOW, text("profile-link0.txt") + PAUSE_LINES)
    after = [(LIST, text("connections-link0.txt")), (UP, ""), paused, *look("link0")[1:]]
    result = run({**PRESENT, "pause": True}, [*show, modify, *after])
    assert result["changed"]
    assert "ethtool.pause-rx: ignore\n" in result["diff"]["before"]
    assert "ethtool.pause-rx: on\n" in result["diff"]["after"]
    kept = read_checkpoint(checkpoint)
    assert kept is not None
    assert kept.properties is not None
    assert kept.properties["ethtool.pause-tx"] == "ignore"
    assert not run({**PRESENT, "pause": True}, [*look("link0"), paused])["changed"]
    assert not run(PRESENT, [*look("link0"), paused])["changed"], "left as it is when omitted"


@pytest.mark.parametrize("lines", ["", UNSET_LINES])
def test_flow_control_that_is_not_there_is_left_out(run: Run, lines: str) -> None:
    steps = [*look("link0"), (SHOW, text("profile-link0.txt") + lines)]
    assert not run({**PRESENT, "pause": False}, steps)["changed"]


def test_flow_control_goes_back_with_the_rest(run: Run, checkpoint: Path) -> None:
    former = dict(line.split(":", 1) for line in text("profile-link0.txt").splitlines())
    unset = dict.fromkeys(("ethtool.pause-autoneg", "ethtool.pause-rx", "ethtool.pause-tx"), "ignore")
    write_checkpoint(checkpoint, Checkpoint("eth1", former | unset, LINK0))
    words = " ".join(f"{name} {value}" for name, value in unset.items())
    steps = [
        (LIST, text("connections-link0.txt")),
        (SHOW, text("profile-link0.txt") + PAUSE_LINES),
        (f"nmcli connection modify uuid {LINK0} {words}", ""),
        (SHOW, text("profile-link0.txt")),
        (LIST, text("connections-link0.txt")),
        (UP, ""),
    ]
    assert run(RESTORED, steps)["changed"]


def test_a_device_that_drifted_is_only_activated(run: Run) -> None:
    drifted = text("addresses-link0.json").replace('"mtu":9000', '"mtu":1400')
    steps = [*look("link0")[:2], (ADDRESSES, drifted), (SHOW, text("profile-link0.txt"))]
    result = run(PRESENT, [*steps, (LIST, text("connections-link0.txt")), *after_activation()])
    assert "device mtu_bytes: 1400\n" in result["diff"]["before"]


def test_a_device_that_does_not_obey_is_an_error_and_the_checkpoint_stays(run: Run, checkpoint: Path) -> None:
    stubborn = (ADDRESSES, text("addresses-link0.json").replace('"mtu":9000', '"mtu":1500'))
    steps = [*look("bare"), (ADD, ""), (LIST, text("connections-link0.txt")), *after_activation()[:-1], stubborn]
    result = run(PRESENT, steps)
    assert result["failed"]
    assert "eth1 was activated but is not as wanted" in result["msg"]
    assert checkpoint.exists()


def test_a_foreign_profile_is_taken_over_with_a_warning(
    run: Run, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    # Where another test has loaded Ansible's control side, warnings go to the display instead of the result.
    monkeypatch.setattr(AnsibleModule, "warn", lambda _, text: warned.append(text))
    steps = [*look("held"), (ADD, ""), (LIST, text("connections-link0.txt")), *after_activation()]
    run(PRESENT, steps)
    assert "profile 'office' held eth1" in warned[0]
    assert read_checkpoint(checkpoint) == Checkpoint("eth1", None, OFFICE)


def test_a_failed_activation_says_what_networkmanager_said(run: Run) -> None:
    refusal = CommandResult((), 4, "", "Error: Connection activation failed: no carrier\n")
    result = run(PRESENT, [*look("bare"), (ADD, ""), (LIST, text("connections-link0.txt")), (UP, refusal)])
    assert result["msg"].endswith("failed with status 4: Error: Connection activation failed: no carrier")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ToolMissing("nmcli is not installed on this node"), "nmcli is not installed"),
        (CommandTimeout("nmcli did not end within 20 s"), "did not end within 20 s"),
        (CommandResult((), 8, "", "Error: NetworkManager is not running.\n"), "NetworkManager is not running"),
        ("Warning\n", "nmcli: expected the fields"),
    ],
)
def test_a_node_without_working_networkmanager(run: Run, answer: Any, message: str) -> None:
    assert message in run(PRESENT, [(LIST, answer)])["msg"]


def test_a_wrong_interface_changes_nothing(run: Run, checkpoint: Path) -> None:
    result = run({**PRESENT, "interface": "eth9"}, look("bare"))
    assert "found: eth1 (b6:90:a4:15:46:8e)" in result["msg"]
    assert not checkpoint.exists()


def test_an_unmanaged_device_is_explained(run: Run) -> None:
    assert "does not manage eth3" in run({**PRESENT, "interface": "eth3"}, look("held"))["msg"]


def test_two_profiles_of_one_name_are_refused(run: Run) -> None:
    steps = [(LIST, text("connections-two-of-a-name.txt")), *look("link0")[1:]]
    assert "2 profiles of that name" in run(PRESENT, steps)["msg"]


def test_a_mac_address_is_written_as_networkmanager_does(run: Run) -> None:
    given = {"name": "x", "mac_address": "76:15:32:81:35:18", "address": "10.0.0.1/30", "mtu_bytes": 1500}
    result = run(given, look("bare"), check_mode=True)
    assert result["interface"] == "eth2"
    assert "802-3-ethernet.mac-address: 76:15:32:81:35:18\n" in result["diff"]["after"]


RESTORED = {"name": "link0", "state": "restored"}


def test_without_a_checkpoint_there_is_nothing_to_restore(run: Run) -> None:
    steps = [(LIST, text("connections-link0.txt")), (SHOW, text("profile-link0.txt"))]
    assert not run(RESTORED, steps)["changed"]


def test_a_profile_that_was_not_there_is_deleted_and_the_foreign_one_comes_back(run: Run, checkpoint: Path) -> None:
    write_checkpoint(checkpoint, Checkpoint("eth1", None, OFFICE))
    steps = [
        (LIST, text("connections-link0.txt")),
        (SHOW, text("profile-link0.txt")),
        (f"nmcli connection delete uuid {LINK0}", ""),
        (LIST, text("connections-held.txt")),
        (f"nmcli --wait 45 connection up uuid {OFFICE} ifname eth1", ""),
    ]
    assert run(RESTORED, steps)["changed"]
    assert not checkpoint.exists()


def test_a_former_profile_gets_its_properties_back(run: Run, checkpoint: Path) -> None:
    former = dict(line.split(":", 1) for line in text("profile-auto.txt").splitlines())
    former["connection.interface-name"] = "eth1"
    write_checkpoint(checkpoint, Checkpoint("eth1", former, ""))
    modify = (
        f"nmcli connection modify uuid {LINK0} 802-3-ethernet.mac-address 02:00:00:00:00:01 802-3-ethernet.mtu auto "
        "connection.autoconnect-priority 0 ipv4.addresses  ipv4.may-fail yes ipv4.method auto ipv4.never-default no "
        "ipv6.method auto"
    )
    steps = [
        (LIST, text("connections-link0.txt")),
        (SHOW, text("profile-link0.txt")),
        (modify, ""),
        (SHOW, "".join(f"{key}:{value}\n" for key, value in former.items())),
        (LIST, text("connections-link0.txt")),
        (STATUS, text("devices-link0.txt")),
        (ADDRESSES, text("addresses-link0.json")),
        (f"nmcli connection down uuid {LINK0}", ""),
    ]
    assert run(RESTORED, steps)["changed"]


def test_check_mode_restores_nothing(run: Run, checkpoint: Path) -> None:
    write_checkpoint(checkpoint, Checkpoint("eth1", None, ""))
    steps = [(LIST, text("connections-link0.txt")), (SHOW, text("profile-link0.txt"))]
    assert run(RESTORED, steps, check_mode=True)["changed"]
    assert checkpoint.exists()


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_verified_link_forgets_its_former_state(run: Run, checkpoint: Path, check_mode: bool) -> None:
    write_checkpoint(checkpoint, Checkpoint("eth1", None, ""))
    assert run({"name": "link0", "state": "committed"}, [], check_mode=check_mode)["changed"]
    assert checkpoint.exists() is check_mode
    assert run({"name": "link0", "state": "committed"}, [])["changed"] is check_mode


ABSENT = {"name": "link0", "state": "absent"}


def test_an_unwanted_profile_is_deleted(run: Run) -> None:
    steps = [(LIST, text("connections-link0.txt")), (SHOW, text("profile-link0.txt"))]
    assert run(ABSENT, steps, check_mode=True)["changed"]
    assert run(ABSENT, [*steps, (f"nmcli connection delete uuid {LINK0}", "")])["changed"]
    assert not run(ABSENT, [(LIST, text("connections-bare.txt"))])["changed"]
