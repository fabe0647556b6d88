"""One real supervisor over one fake engine: readiness, liveness, ends, refusals."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rank_harness import API_KEY, MakeUnits, Unit, alive, wait_until


def status(unit: Unit) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tandem", "rank", "status", "--config", str(unit.config)],
        env=unit.environment,
        capture_output=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_ready_means_a_token_and_stop_means_nothing_is_left(units: MakeUnits) -> None:
    (unit,) = units()
    unit.control(start_after_sec=0.6, token=False, stray=True)
    unit.start(WATCHDOG_USEC="600000")
    unit.wait_told("STATUS=starting: /health not answering yet")
    unit.wait_told("no token: no answer in 0.4 s")
    unit.wait_told("EXTEND_TIMEOUT_USEC=")
    assert not unit.told("READY=1")
    unit.control()
    unit.wait_told("READY=1")
    document = unit.wait_state("ready", generation=1)
    assert document["last_probe"]["ok"] is True
    assert document["ready_after_sec"] >= 0.6
    returncode, shown = status(unit)
    assert (returncode, shown["state"], shown["pid"]) == (0, "ready", unit.pid)
    assert unit.said.count("WATCHDOG=1") >= 3

    engine, stray = unit.wait_engine(), int(unit.control_file.with_suffix(".stray").read_text())
    assert API_KEY not in Path(f"/proc/{engine}/cmdline").read_text()
    assert f"VLLM_API_KEY={API_KEY}" in Path(f"/proc/{engine}/environ").read_text()
    assert "NOTIFY_SOCKET" not in Path(f"/proc/{engine}/environ").read_text()
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit() == 0
    unit.wait_told("STOPPING=1")
    assert unit.state["state"] == "stopping"
    assert not alive(engine)
    assert not alive(stray), "a process in a session of its own is ours all the same"


def test_an_engine_that_ignores_sigterm_is_killed_after_the_grace(units: MakeUnits) -> None:
    (unit,) = units()
    unit.control(ignore_term=True)
    unit.start().wait_told("READY=1")
    started = time.monotonic()
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit() == 0
    assert 0.4 < time.monotonic() - started < 4


def test_an_engine_that_ends_by_itself_has_failed_even_with_status_0(units: MakeUnits) -> None:
    (unit,) = units()
    unit.start().wait_told("READY=1")
    unit.control(exit=0)
    assert unit.wait_exit() == 1
    unit.wait_told("STATUS=rank 0 on node1 died: exit status 0")
    assert status(unit)[0] == 1
    assert unit.state["state"] == "failed"
    # The next run goes on counting.
    unit.control()
    unit.start().wait_state("ready", generation=2)


def test_a_saturated_engine_is_left_alone_and_a_stopped_one_is_not(units: MakeUnits) -> None:
    (unit,) = units()
    unit.control(counters=True)
    unit.start().wait_told("READY=1")
    engine = unit.wait_engine()
    # No probe is answered for twice the stall timeout, but the engine counts tokens.
    unit.control(counters=True, token=False)
    time.sleep(2)
    assert alive(engine)
    unit.wait_told("probe: no answer in 0.4 s")
    assert unit.state["state"] == "ready"
    unit.control(counters=True)
    wait_until(lambda: unit.state["last_probe"]["ok"], "the probe is answered again")

    os.kill(engine, signal.SIGSTOP)
    assert unit.wait_exit() == 1
    unit.wait_told("STATUS=stalled: no token for 1 s")
    assert not alive(engine)


def test_health_503_after_ready_is_death(units: MakeUnits) -> None:
    (unit,) = units()
    unit.start().wait_told("READY=1")
    unit.control(health=503)
    assert unit.wait_exit() == 1
    unit.wait_told("STATUS=engine dead: /health answers 503")


def test_a_start_that_takes_too_long_is_given_up(units: MakeUnits) -> None:
    (unit,) = units(change=lambda _, document: document["probe"].update(start_timeout_sec=0.8))
    unit.control(start_after_sec=30)
    assert unit.start().wait_exit() == 1
    unit.wait_told("STATUS=not ready after 1 s (start_timeout_sec): /health not answering yet")


def test_a_port_that_is_taken_is_named(units: MakeUnits) -> None:
    (unit,) = units()
    port = unit.document["api"]["port"]
    with socket.create_server(("127.0.0.1", port)):
        assert unit.start().wait_exit() == 1
    unit.wait_told(f"STATUS=api port 127.0.0.1:{port} is in use by another process")
    assert not unit.engine_file.exists()


def test_damaged_weights_are_refused_for_good(units: MakeUnits, tmp_path: Path) -> None:
    model, manifest = tmp_path / "model", tmp_path / "model.sha256"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    manifest.write_text(f"{digest}  model.safetensors\n")
    weights = {"directory": str(model), "manifest": str(manifest)}
    (unit,) = units(change=lambda _, document: document.update(weights=weights))
    unit.start().wait_told("READY=1")
    unit.signal(signal.SIGTERM)
    unit.wait_exit()

    (model / "model.safetensors").write_bytes(b"weighty")
    found = hashlib.sha256(b"weighty").hexdigest()
    assert unit.start().wait_exit() == 78
    unit.wait_told(f"'model.safetensors': mismatch, expected {digest}, found {found}")
    assert not unit.engine_file.exists()
    assert unit.state["state"] == "failed"


def test_what_a_person_has_to_change_exits_78(units: MakeUnits) -> None:
    (unit,) = units()
    unit.document["rnak"] = 0
    assert unit.start().wait_exit() == 78
    unit.wait_told("rnak: unknown key")
    del unit.document["rnak"]
    assert unit.start(CREDENTIALS_DIRECTORY="").wait_exit() == 78
    unit.wait_told("the unit needs LoadCredential=api_key")
    unit.document["command"] = ["/nowhere/vllm"]
    assert unit.start().wait_exit() == 78
    unit.wait_told("/nowhere/vllm is not an executable file")
