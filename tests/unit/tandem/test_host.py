"""What systemd, the kernel and the journal say, recorded from a lab node (systemd 252, procps 4.0)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.errors import TandemError
from tandem.host import journal_limit_bytes, size_bytes, sysctl_differences, unit_differences

FIXTURES = Path(__file__).parents[2] / "fixtures" / "host"
UNITS = (FIXTURES / "systemctl-show.txt").read_text()
JOURNAL = (FIXTURES / "journal-sizes.json").read_text()


@pytest.mark.parametrize(("size", "expected"), [("512M", 536870912), ("1G", 1073741824), (4096, 4096), ("0", 0)])
def test_sizes(size: str | int, expected: int) -> None:
    assert size_bytes(size) == expected


@pytest.mark.parametrize("size", ["512MB", "infinity", "1.5G", "-1", "", "50%"])
def test_what_is_no_size(size: str) -> None:
    with pytest.raises(TandemError, match="is no size; write bytes, or a whole number with K, M, G or T"):
        size_bytes(size)


def test_units_are_found_by_every_name() -> None:
    wanted = {"OOMPolicy": "stop", "MemoryMin": 0}

    assert unit_differences(UNITS, {"sshd.service": wanted, "ssh.service": wanted}) == []


def test_differences_of_units_are_named() -> None:
    wanted = {
        "sshd.service": {"OOMPolicy": "continue", "MemoryMin": 33554432},
        "system.slice": {"MemoryMin": 0},
        "nobody.slice": {"MemoryMin": 0},
    }

    assert unit_differences(UNITS, wanted) == [
        "sshd.service: OOMPolicy is stop, not continue",
        "sshd.service: MemoryMin is 0, not 33554432",
        "nobody.slice: unknown",
    ]


def test_nothing_from_systemd_is_a_difference() -> None:
    assert unit_differences("", {"tandem.slice": {"MemoryMax": "infinity"}}) == ["tandem.slice: unknown"]


def test_kernel_settings() -> None:
    text = "vm.swappiness = 60\nnet.ipv4.ip_local_port_range = 32768\t60999\n"

    assert sysctl_differences(text, {"net.ipv4.ip_local_port_range": "32768 60999", "vm.swappiness": 60}) == []
    assert sysctl_differences(text, {"vm.swappiness": 10, "vm.none": 1}) == [
        "vm.swappiness is 60, not 10",
        "vm.none is unknown to this kernel, not 1",
    ]


def test_the_journal_on_disk_is_told_from_the_one_in_memory() -> None:
    runtime, system = JOURNAL.splitlines()

    assert journal_limit_bytes(JOURNAL) == 67108864
    assert journal_limit_bytes(runtime) == 0
    assert journal_limit_bytes("") == 0
    assert journal_limit_bytes(JOURNAL + system.replace("67108864", "2147483648") + "\n") == 2147483648
