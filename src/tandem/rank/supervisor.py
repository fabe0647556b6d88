"""What leader and follower share: telling systemd and the state file, checking weights, running the child."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.fabric.blocks import refusals
from tandem.rank.notify import Notifier
from tandem.rank.policy import State, describe_exit
from tandem.rank.process import Child, reap_orphans
from tandem.rank.state import StateFile
from tandem.weights.cache import DigestCache, cache_path
from tandem.weights.cli import CACHE_DIRECTORY
from tandem.weights.manifest import ManifestError
from tandem.weights.verify import Report, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tandem.rank.config import RankConfig

# Nothing is lost by killing an engine whose group is broken, and its ranks may hang waiting for each other.
BROKEN_GRACE_SEC = 5.0
SHORTEST_TOKEN = 16
_TICK_SEC = 1.0
_EXTEND_SEC = 60
# For us and for nobody below us.
_OWN_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY", "LISTEN_FDS", "LISTEN_PID")


class GenerationError(Exception):
    """This generation is over; another may do better."""


class RefusalError(Exception):
    """Another try would fail in the same way until a person changes something."""


class Supervisor:
    """One rank's supervisor."""

    def __init__(self, config: RankConfig, environment: Mapping[str, str]) -> None:
        self.config = config
        self.state = StateFile(config.engine, config.rank, environment)
        self.grace_sec = min(BROKEN_GRACE_SEC, config.stop_grace_sec)
        self._environment = environment
        self._notifier = Notifier(environment)
        self._ready = False
        self._told: tuple[State, str] | None = None
        self._child: Child | None = None
        self._digests: DigestCache | None = None

    def log(self, text: str) -> None:
        """Write one line for the journal."""
        print(f"{self.config.engine}[{self.config.rank}] {text}", file=sys.stderr, flush=True)

    def report(self, state: State, text: str, *, log_as: str | None = None, **more: Any) -> None:  # noqa: ANN401
        """Tell the state to systemd, the state file and the journal.

        The journal gets a line when the state or `log_as` changes: texts that count seconds give the part that matters.
        """
        subject = (state, text if log_as is None else log_as)
        if subject != self._told:
            self.log(f"{state}: {text}" if not text.startswith(state) else text)
            self._told = subject
        if text != self.state.now.reason:
            self._notifier.send(STATUS=text)
        self.state.update(state, text, **more)

    def ready(self) -> None:
        """Tell systemd that the unit is up, once."""
        if not self._ready:
            self._ready = True
            self._notifier.send(READY="1")

    def stopping(self) -> None:
        """Tell systemd that the unit goes down because it was asked to."""
        self.grace_sec = self.config.stop_grace_sec
        self._notifier.send(STOPPING="1")
        self.report(State.STOPPING, f"stopping: asked to; up to {self.grace_sec:g} s for what is under way")

    async def keep_alive(self) -> None:
        """Feed the watchdog from this very loop, and ask for more time as long as the start goes on."""
        watchdog_sec = self._notifier.watchdog_sec
        while True:
            self._notifier.send(WATCHDOG="1")
            if not self._ready:
                self._notifier.send(EXTEND_TIMEOUT_USEC=str(_EXTEND_SEC * 1_000_000))
            # Until the child's exit was seen, it is not ours to collect.
            reap_orphans(except_pid=self._child.pid if self._child else None)
            await asyncio.sleep(min(_TICK_SEC, watchdog_sec / 3) if watchdog_sec else _TICK_SEC)

    def credential(self, name: str, *, shortest: int = 1) -> str:
        """Return a secret that systemd handed over; RefusalError where there is none."""
        remedy = f"the unit needs LoadCredential={name}:..."
        directory = self._environment.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise RefusalError(f"credential {name}: there is no $CREDENTIALS_DIRECTORY; {remedy}")
        try:
            secret = (Path(directory) / name).read_text(encoding="ascii").strip()
        except OSError as error:
            raise RefusalError(f"credential {name}: {error.strerror}; {remedy}") from error
        except UnicodeDecodeError:
            raise RefusalError(f"credential {name}: is not plain ASCII text") from None
        if len(secret) < shortest or not secret.isprintable():
            raise RefusalError(f"credential {name}: expected one line of at least {shortest} characters")
        return secret

    def check_command(self) -> None:
        """Refuse a command that cannot be started, before anything else."""
        program = self.config.command[0]
        if not os.access(program, os.X_OK):
            raise RefusalError(f"command: {program} is not an executable file on {self.config.own.node}")

    def check_fabric(self) -> None:
        """Refuse to start over a pair of nodes that did not pass the fabric gate; what runs already is left alone."""
        fabric = self.config.fabric
        if fabric is None:
            return
        nodes = [member.node for member in self.config.ranks]
        found = refusals(nodes, self.config.own.node, fabric.directory, fabric.link)
        for problem in found[1:]:
            self.log(f"fabric refused: {problem}")
        if found:
            more = f" (and {len(found) - 1} more pairs)" if len(found) > 1 else ""
            raise RefusalError(f"fabric refused: {found[0]}{more}")

    async def run_child(self, secrets: Mapping[str, str]) -> str:
        """Run the command until it ends by itself and say how; kill it and all below it when cancelled."""
        environment = {name: value for name, value in self._environment.items() if name not in _OWN_VARIABLES}
        try:
            child = Child.start(self.config.command, environment | dict(secrets))
        except OSError as error:
            return f"cannot start {self.config.command[0]}: {error.strerror}"
        self._child = child
        try:
            # Whoever cancels us must not cancel the future: `stop` waits for it.
            return f"died: {describe_exit(await asyncio.shield(child.exited))}"
        finally:
            left = await child.stop(self.grace_sec)
            self._child = None
            if left:
                self.log(f"processes that cannot be killed: {left} (waiting for a device?)")

    async def verify_weights(self) -> None:
        """Compare the model with its manifest; RefusalError where it differs."""
        weights = self.config.weights
        if weights is None:
            return
        if self._digests is None:
            directory = Path(self._environment.get("CACHE_DIRECTORY", "").split(":")[0] or CACHE_DIRECTORY)
            self._digests = DigestCache.load(weights.directory, cache_path(weights.directory, directory))
        counter = _Counter()
        cancel = threading.Event()
        started = time.monotonic()
        job = asyncio.create_task(
            asyncio.to_thread(
                verify, weights.directory, weights.manifest, cache=self._digests, progress=counter.add, cancel=cancel
            )
        )
        try:
            while not (await asyncio.wait([job], timeout=_TICK_SEC))[0]:
                elapsed = time.monotonic() - started
                text = f"verifying weights: {counter.bytes / 1e9:.1f} GB read, {elapsed:.0f} s"
                self.report(self.state.now.state, text, log_as="verifying weights")
            self._judge(job.result(), weights.directory)
        except (OSError, ManifestError) as error:
            raise RefusalError(f"weights refused: {weights.manifest}: {error}") from error
        finally:
            cancel.set()
            job.cancel()

    def _judge(self, report: Report, directory: Path) -> None:
        if self._digests is not None and self._digests.unsaved:
            self.log(f"every start will read all weights again: {self._digests.unsaved}")
            self._digests.unsaved = None
        if report.ok:
            if report.hashed_bytes:
                gigabytes = report.hashed_bytes / 1e9
                self.log(f"weights verified: {report.files} files, {gigabytes:.2f} GB read in {report.seconds:.1f} s")
            return
        for problem in report.problems[1:]:
            self.log(f"weights refused: {directory}: {problem}")
        more = f" (and {len(report.problems) - 1} more files)" if len(report.problems) > 1 else ""
        raise RefusalError(f"weights refused: {directory}: {report.problems[0]}{more}")


class _Counter:
    """Bytes read by several threads."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.bytes += count
