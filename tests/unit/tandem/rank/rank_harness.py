"""Real supervisors as subprocesses, with a systemd of our own that only listens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")
SOURCES = Path(__file__).parents[4] / "src"
API_KEY = "api-key-that-no-log-may-hold"
TOKEN = "group-token-that-no-log-may-hold"


def free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return int(attempt.getsockname()[1])


def wait_until(condition: Callable[[], Any], what: str, timeout_sec: float = 10.0) -> Any:
    deadline = time.monotonic() + timeout_sec
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_sec} s: {what}")


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def rank_document(rank: int, ranks: int, api_port: int, group_port: int) -> dict[str, Any]:
    return {
        "engine": "toy",
        "rank": rank,
        "ranks": [{"node": f"node{number + 1}", "address": f"127.0.0.{number + 1}"} for number in range(ranks)],
        "command": [str(api_port)] if rank == 0 else [],
        "api": {"address": "127.0.0.1", "port": api_port, "model": "m"} if rank == 0 else None,
        "group": {"port": group_port, "heartbeat_interval_sec": 0.1, "heartbeat_timeout_sec": 1.5}
        if ranks > 1
        else None,
        "probe": {"interval_sec": 0.1, "timeout_sec": 0.4, "stall_timeout_sec": 1.0, "start_timeout_sec": 20},
        "weights": None,
        "stop_grace_sec": 0.5,
    }


class Unit:
    """One engine unit: `start` may be called again, as systemd does."""

    def __init__(self, directory: Path, document: dict[str, Any]) -> None:
        directory.mkdir()
        self.directory = directory
        self.document = document
        self.control_file = directory / "control.json"
        self.config = directory / "rank.json"
        self.log_file = directory / "log"
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "notify"))
        threading.Thread(target=self._listen, daemon=True).start()
        self.process: subprocess.Popen[bytes] | None = None
        (directory / "api_key").write_text(API_KEY + "\n")
        (directory / "group_token").write_text(TOKEN + "\n")
        document["command"] = [sys.executable, "-S", str(FAKE_ENGINE), str(self.control_file), *document["command"]]
        self.control()

    def control(self, **settings: Any) -> None:
        """Tell the fake engine how to behave from now on."""
        temporary = self.directory / "control.new"
        temporary.write_text(json.dumps(settings))
        temporary.rename(self.control_file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCES),
            "PYTHONPYCACHEPREFIX": str(self.directory.parent.parent / "bytecode"),
            "NOTIFY_SOCKET": str(self.directory / "notify"),
            "CREDENTIALS_DIRECTORY": str(self.directory),
            "RUNTIME_DIRECTORY": str(self.directory),
            "CACHE_DIRECTORY": str(self.directory / "cache"),
        }

    def start(self, **environment: str) -> Unit:
        self.config.write_text(json.dumps(self.document))
        self.engine_file.unlink(missing_ok=True)
        self.said = []
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-m", "tandem", "rank", "serve", "--config", str(self.config)],
                env=self.environment | environment,
                stdout=log,
                stderr=log,
            )
        return self

    def _listen(self) -> None:
        """Keep every line told to systemd since the start; the queue of such a socket is short."""
        while message := self._socket.recv(65536):
            self.said += message.decode().splitlines()

    def told(self, text: str) -> bool:
        return any(text in line for line in self.said)

    def wait_told(self, text: str) -> None:
        try:
            wait_until(lambda: self.told(text), f"{text!r} told to systemd")
        except AssertionError as error:
            raise AssertionError(f"{error}; heard {self.said[-5:]}, log {self.log[-2000:]}") from None

    def wait_state(self, state: str, **more: Any) -> dict[str, Any]:
        wanted = {"state": state, **more}
        return wait_until(
            lambda: wanted.items() <= self.state.items() and self.state, f"{wanted} (log {self.log[-2000:]})"
        )

    def wait_exit(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=10)

    def wait_engine(self) -> int:
        """Return the engine's process number, once it runs."""
        return int(wait_until(lambda: self.engine_file.exists() and self.engine_file.read_text(), "engine runs"))

    @property
    def engine_file(self) -> Path:
        return self.control_file.with_suffix(".pid")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def state(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads((self.directory / "toy.json").read_text())
        except OSError:
            return {}
        return document if document["pid"] == self.pid else {}

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def clean_up(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as last_word:
            last_word.sendto(b"", str(self.directory / "notify"))


MakeUnits = Callable[..., list[Unit]]
