"""The parser of `systemctl show`, over what systemd 252 printed in the lab."""

import pytest

from plugins.module_utils.systemd.unit import UnitState, explain_failure, parse_unit_state

REFUSED = (
    "StatusText=weights refused: 'model.safetensors': mismatch\n"
    "Result=exit-code\nNRestarts=0\nActiveState=failed\nSubState=failed\n"
)
STARTING = (
    "StatusText=starting: /health not answering yet, 12 s\n"
    "Result=success\nNRestarts=2\nActiveState=activating\nSubState=start\n"
)
UNKNOWN = "StatusText=\nResult=success\nNRestarts=0\nActiveState=inactive\nSubState=dead\n"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (REFUSED, UnitState("failed", "failed", "exit-code", 0, "weights refused: 'model.safetensors': mismatch")),
        (STARTING, UnitState("activating", "start", "success", 2, "starting: /health not answering yet, 12 s")),
        (UNKNOWN, UnitState("inactive", "dead", "success", 0, "")),
        ("NRestarts=[not set]\n", UnitState("", "", "", 0, "")),
        ("", UnitState("", "", "", 0, "")),
    ],
)
def test_parses_what_systemd_prints(text: str, state: UnitState) -> None:
    assert parse_unit_state(text) == state


def test_explains_a_failed_unit_in_its_own_words() -> None:
    assert explain_failure("tandem-engine@x.service", parse_unit_state(REFUSED)) == (
        "tandem-engine@x.service has failed (exit-code, 0 restarts): weights refused: 'model.safetensors': mismatch. "
        "See `journalctl -u tandem-engine@x.service`"
    )


@pytest.mark.parametrize("text", [STARTING, UNKNOWN])
def test_says_nothing_of_a_unit_that_may_still_start(text: str) -> None:
    assert explain_failure("x", parse_unit_state(text)) == ""
