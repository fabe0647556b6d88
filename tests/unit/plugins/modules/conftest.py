"""Run a module as Ansible does: arguments in, one JSON document out."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

RunModule = Callable[..., dict[str, Any]]


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunModule:
    """Return a function that runs a module's main() with arguments and returns what it printed."""
    # On a node there is no controller to print warnings, and no earlier module that left some.
    monkeypatch.setattr("ansible.module_utils._internal.is_controller", False)
    monkeypatch.setattr("ansible.module_utils.common.warnings._global_warnings", {})

    def run(main: Callable[[], None], *, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({**arguments, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit) as ended:
            main()
        result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        assert bool(ended.value.code) == bool(result.get("failed"))
        return result

    return run
