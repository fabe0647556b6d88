"""What ``ethtool -a`` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.network.pause import Pause, UnexpectedOutput, cannot_tell, is_gone, parse_pause

FIXTURES = Path(__file__).parents[4] / "fixtures" / "network"


def recorded(case: str) -> str:
    return (FIXTURES / f"ethtool-{case}.txt").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            recorded("autonegotiated"),
            Pause(autonegotiate=True, rx=True, tx=True, negotiated_rx=None, negotiated_tx=None),
        ),
        (recorded("negotiated"), Pause(autonegotiate=True, rx=True, tx=True, negotiated_rx=True, negotiated_tx=False)),
        (
            "Pause parameters for eth1:\nAutonegotiate:\toff\nRX:\t\ton\nTX:\t\toff\n\n",
            Pause(autonegotiate=False, rx=True, tx=False, negotiated_rx=None, negotiated_tx=None),
        ),
        (
            "Pause parameters for eth1:\nAutonegotiate:\tn/a\nRX:\t\toff\nTX:\t\toff\nRX negotiated: n/a\n",
            Pause(autonegotiate=None, rx=False, tx=False, negotiated_rx=None, negotiated_tx=None),
        ),
    ],
)
def test_parameters(text: str, expected: Pause) -> None:
    assert parse_pause(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Pause parameters for eth1:\n",
        "Pause parameters for eth1:\nAutonegotiate:\ton\nRX:\t\ton\n",
        "Autonegotiate:\ton\nRX:\t\tan\nTX:\t\taus\n",
        "Parametres de pause :\nAutonegociation: oui\n",
    ],
)
def test_what_is_cut_off_or_foreign_is_an_error(text: str) -> None:
    with pytest.raises(UnexpectedOutput):
        parse_pause(text)


def test_failures_are_told_apart() -> None:
    assert cannot_tell(recorded("not_supported"))
    assert not is_gone(recorded("not_supported"))
    assert is_gone(recorded("no_device"))
    assert not cannot_tell(recorded("no_device"))
    assert cannot_tell("Cannot get device pause settings: Operation not supported\n")
    assert not cannot_tell("netlink error: Operation not permitted\n")
