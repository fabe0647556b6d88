"""Who needs a reboot, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.reboot import reboot_command, reboot_reasons, reboot_report

ENGINES = [{"name": "a", "nodes": ["node1", "node2"]}, {"name": "b", "nodes": ["node2"]}]
COMMAND = "ansible-playbook -i inventories/x playbooks/reboot.yml -e tandem_reboot_allowed=true"


@pytest.mark.parametrize(
    ("variables", "reasons"),
    [
        ({}, []),
        ({"kernel_args_reboot_required": False, "kernel_args_reboot_reasons": ["iommu=pt is missing"]}, []),
        (
            {"kernel_args_reboot_required": True, "kernel_args_reboot_reasons": ["a=1 is missing", "b=2 is missing"]},
            ["kernel_args: a=1 is missing; b=2 is missing"],
        ),
        ({"rdma_reboot_required": True}, ["rdma: asks for it"]),
        # From the command line.
        ({"rdma_reboot_required": "true", "kernel_args_reboot_required": "false"}, ["rdma: asks for it"]),
        # Not the contract: a role's own note, and the consent.
        ({"__rdma_reboot_required": True, "tandem_reboot_allowed": True}, []),
        ({"b_reboot_required": True, "a_reboot_required": True}, ["a: asks for it", "b: asks for it"]),
    ],
)
def test_a_role_asks_by_the_name_of_its_variable(variables: dict[str, Any], reasons: list[str]) -> None:
    assert reboot_reasons(variables) == reasons


def report(reasons: dict[str, list[str]], *, allowed: bool = False, check_mode: bool = False) -> list[str]:
    return reboot_report(reasons, ENGINES, allowed=allowed, check_mode=check_mode, command=COMMAND)


def test_without_consent_the_command_is_told() -> None:
    assert report({"node1": [], "node2": ["kernel_args: iommu=pt is missing"]}) == [
        "1 node needs a reboot.",
        "- node2: kernel_args: iommu=pt is missing. First it lets engines a, b end, on all of its nodes.",
        f"Nothing was rebooted. With your consent, this does it: {COMMAND}",
    ]


def test_several_nodes_take_turns() -> None:
    lines = report({"node1": ["x"], "node2": ["y"], "node3": ["z"]}, allowed=True)
    assert lines[0] == "3 nodes need a reboot."
    assert lines[1] == "- node1: x. First it lets engine a end, on all of its nodes."
    assert lines[3] == "- node3: z."
    assert lines[4] == "They are rebooted now, one after the other, each when the one before it is back and verified."


def test_check_mode_says_what_would_be() -> None:
    assert report({"node3": ["z"]}, allowed=True, check_mode=True)[-1] == "It would be rebooted."
    assert "Nothing was rebooted." in report({"node3": ["z"]}, check_mode=True)[-1]


def test_the_command_is_the_one_of_this_run() -> None:
    assert reboot_command(["inventories/x"], None) == COMMAND
    assert reboot_command(["a", "b"], "node2,node3") == (
        "ansible-playbook -i a -i b playbooks/reboot.yml --limit node2,node3 -e tandem_reboot_allowed=true"
    )
