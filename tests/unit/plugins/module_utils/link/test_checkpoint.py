"""The kept former state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugins.module_utils.link.checkpoint import Checkpoint, drop_checkpoint, read_checkpoint, write_checkpoint
from plugins.module_utils.link.profile import LinkError

if TYPE_CHECKING:
    from pathlib import Path

FORMER = Checkpoint("eth1", {"802-3-ethernet.mtu": "1500"}, "uuid")


def test_a_checkpoint_is_for_its_owner_only_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "link" / "link0.checkpoint.json"
    assert read_checkpoint(path) is None
    write_checkpoint(path, FORMER)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert read_checkpoint(path) == FORMER
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    drop_checkpoint(path)
    drop_checkpoint(path)
    assert read_checkpoint(path) is None


def test_a_later_run_does_not_replace_the_last_verified_state(tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint.json"
    write_checkpoint(path, FORMER)
    write_checkpoint(path, Checkpoint("eth1", None, ""))
    assert read_checkpoint(path) == FORMER


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ('{"interface": "eth1"}', "damaged"),
        ('{"interface": "e", "properties": {"ipv6.dns": "::1"}, "active_profile_uuid": ""}', "not ours: ipv6.dns"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.checkpoint.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(LinkError, match=message):
        read_checkpoint(path)


def test_a_checkpoint_others_can_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint.json"
    write_checkpoint(path, FORMER)
    path.chmod(0o622)
    with pytest.raises(LinkError, match="only we can write"):
        read_checkpoint(path)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "real", FORMER)
    (tmp_path / "x.checkpoint.json").symlink_to(tmp_path / "real")
    with pytest.raises(LinkError, match="cannot be read"):
        read_checkpoint(tmp_path / "x.checkpoint.json")
