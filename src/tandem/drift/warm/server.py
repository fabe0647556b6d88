"""Run modules of Ansible in forks of one Python that has loaded what all of them need, and compiled the rest.

This file is sent to a node and runs there: standard library only, Python 3.9 or later. It talks through its standard
input and output, listens nowhere, writes no file, and ends when its input does. What comes in is AnsiballZ payloads,
as Ansible pipes them into `python3`; each becomes the program of a process of its own, as it would there. Small
commands of the shell come beside them, as sshd would run them.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import gc
import hashlib
import importlib
import importlib.abc
import importlib.util
import io
import os
import pwd
import re
import selectors
import signal
import struct
import sys
import threading
import types
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

#: What is said in either direction: kind, number of the job, length of what follows.
HEADER = struct.Struct("!BII")
#: To the server: keep this part of payloads under its digest; run a payload (its part named by digest); run a command
#: of the shell; end a job.
KEEP, RUN, SHELL, STOP = 1, 2, 3, 4
#: From the server: output, error output, exit status in digits, and why a payload cannot run here.
OUT, ERR, END, REFUSED = 5, 6, 7, 8
#: The first line that the server writes.
READY = b"tandem-warm ready\n"
#: The part of a payload that is the same in each run of a module: the module, and what it imports.
ZIP = re.compile(rb"^zip_data='([A-Za-z0-9+/=]+)',$", re.MULTILINE)
#: What every module imports before it runs.
_COMMON = "ansible.module_utils._internal._ansiballz._loader"
_PROFILES = "ansible.module_utils._internal._json._profiles."
_CHUNK_BYTES = 65536


def frame(kind: int, job: int, data: bytes = b"") -> bytes:
    """Return one message."""
    return HEADER.pack(kind, job, len(data)) + data


def frames(received: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """Yield the messages that are complete, and take them out of what was received."""
    while len(received) >= HEADER.size:
        kind, job, length = HEADER.unpack_from(received)
        end = HEADER.size + length
        if len(received) < end:
            return
        data = bytes(received[HEADER.size : end])
        del received[:end]
        yield kind, job, data


@dataclass
class _Source:
    """A file of a payload."""

    path: str
    text: bytes
    code: types.CodeType


class Payloads(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """The modules in payloads, compiled once. Imports find those of the payload at hand."""

    def __init__(self) -> None:
        self._sources: dict[str, dict[str, _Source]] = {}
        self._compiled: dict[tuple[str, bytes], _Source] = {}
        self._loaded: dict[str, _Source] = {}
        self._current: dict[str, _Source] = {}

    def choose(self, digest: str, data: bytes) -> None:
        """Let imports find the modules of this payload.

        Raises:
            ValueError: It is of another Ansible than those before.
        """
        if digest not in self._sources:
            self._sources[digest] = dict(self._read(data))
        self._current = self._sources[digest]
        if not self._loaded:
            self._load()
        if any(self._current.get(name, source).text != source.text for name, source in self._loaded.items()):
            raise ValueError("its module_utils are not those that are loaded")

    def _read(self, data: bytes) -> Iterator[tuple[str, _Source]]:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(data))) as archive:
            for path in archive.namelist():
                text = archive.read(path)
                if (path, text) not in self._compiled:
                    code = compile(text, f"/AnsiballZ/{path}", "exec", dont_inherit=True)
                    self._compiled[path, text] = _Source(path, text, code)
                name = path.removesuffix(".py").replace("/", ".")
                yield name.removesuffix(".__init__"), self._compiled[path, text]

    def _load(self) -> None:
        sys.meta_path.insert(0, self)
        for name in (_COMMON, *(name for name in self._current if name.startswith(_PROFILES))):
            importlib.import_module(name)
        self._loaded = {name: source for name, source in self._current.items() if name in sys.modules}
        # What stays is looked at by no garbage collection, so that forks go on sharing its memory.
        gc.collect()
        gc.freeze()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find a module of the payload at hand."""
        del path, target
        if fullname not in self._current:
            return None
        source = self._current[fullname].path
        # In a job, the first place of imports is the payload's own file.
        spec = importlib.util.spec_from_loader(
            fullname, self, origin=f"{sys.path[0]}/{source}", is_package=self.is_package(fullname)
        )
        if spec is not None:
            spec.has_location = True
        return spec

    def is_package(self, fullname: str) -> bool:
        """Return whether it holds others."""
        return self._source(fullname).path.endswith("/__init__.py")

    def get_code(self, fullname: str) -> types.CodeType:
        """Return it compiled."""
        return self._source(fullname).code

    def get_source(self, fullname: str) -> str:
        """Return its text, for tracebacks."""
        return self._source(fullname).text.decode()

    def _source(self, fullname: str) -> _Source:
        if fullname not in self._current:
            raise ImportError(f"no {fullname} in this payload")
        return self._current[fullname]


@dataclass
class _Job:
    """A payload that runs: its process, and its pipes that are open still."""

    process: int
    pipes: set[int]
    status: int | None = None


class Server:
    """Starts jobs, and passes on what they write and how they end."""

    def __init__(self) -> None:
        self._payloads = Payloads()
        self._kept: dict[str, bytes] = {}
        self._jobs: dict[int, _Job] = {}
        self._ears = selectors.DefaultSelector()
        self._received = bytearray()

    def serve(self) -> bytes | None:
        """Work until the input ends. In the process of a job, return the program that it is to become."""
        child_ended, waker = os.pipe()
        for end in (child_ended, waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self._ears.register(0, selectors.EVENT_READ, self._hear)
        self._ears.register(child_ended, selectors.EVENT_READ, functools.partial(self._collect, child_ended))
        _write(READY)
        me = os.getpid()
        try:
            while True:
                for key, _ in self._ears.select():
                    program: bytes | None = key.data()
                    if program is not None:
                        return program
        except EOFError:
            return None
        finally:
            if os.getpid() == me:
                for job in self._jobs:
                    self._stop(job)

    def _hear(self) -> bytes | None:
        if not (data := os.read(0, _CHUNK_BYTES)):
            raise EOFError
        self._received += data
        for kind, job, content in frames(self._received):
            if (program := self._obey(kind, job, content)) is not None:
                return program
        return None

    def _obey(self, kind: int, number: int, data: bytes) -> bytes | None:
        if kind == KEEP:
            self._kept[hashlib.sha256(data).hexdigest()] = data
        elif kind == STOP:
            self._stop(number)
        elif kind == SHELL and self._start(number):
            shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
            os.execv(shell, [shell, "-c", data.decode()])  # noqa: S606 (as sshd does)
        elif kind == RUN:
            digest, _, program = data.partition(b"\n")
            kept = self._kept[digest.decode()]
            try:
                self._payloads.choose(digest.decode(), kept)
            except ValueError as error:
                _write(frame(REFUSED, number, str(error).encode()))
                return None
            if self._start(number):
                return program.replace(b"zip_data=''", b"zip_data='" + kept + b"'", 1)
        return None

    def _start(self, number: int) -> bool:
        """Start a job; return whether this is its process."""
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        process = os.fork()
        if process == 0:
            _become_a_job(out_end, err_end)
            return True
        os.close(out_end)
        os.close(err_end)
        self._jobs[number] = _Job(process, {out, err})
        self._ears.register(out, selectors.EVENT_READ, functools.partial(self._pass_on, out, number, OUT))
        self._ears.register(err, selectors.EVENT_READ, functools.partial(self._pass_on, err, number, ERR))
        return False

    def _pass_on(self, pipe: int, number: int, kind: int) -> None:
        if data := os.read(pipe, _CHUNK_BYTES):
            _write(frame(kind, number, data))
            return
        self._ears.unregister(pipe)
        os.close(pipe)
        self._jobs[number].pipes.discard(pipe)
        self._end(number)

    def _collect(self, child_ended: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(child_ended, _CHUNK_BYTES):
                pass
        for number, job in list(self._jobs.items()):
            if job.status is None and (ended := os.waitpid(job.process, os.WNOHANG))[0]:
                job.status = os.waitstatus_to_exitcode(ended[1])
                self._end(number)

    def _end(self, number: int) -> None:
        """Tell of a job that has ended and has told all. Whoever holds its output open is waited for, as by ssh."""
        job = self._jobs[number]
        if job.status is not None and not job.pipes:
            del self._jobs[number]
            # A shell would say it so.
            status = job.status if job.status >= 0 else 128 - job.status
            _write(frame(END, number, str(status).encode()))

    def _stop(self, number: int) -> None:
        if (job := self._jobs.get(number)) and job.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.process, signal.SIGTERM)


def _become_a_job(out: int, err: int) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for mine, standard in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(mine, standard)
    # The pipes of other jobs, too: a server has few.
    os.closerange(3, 1024)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _run(program: bytes) -> NoReturn:
    """Be the interpreter that this program is piped into, but for its long farewell: what is freed there is shared."""
    sys.argv = [""]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    status: object = 0
    try:
        exec(compile(program, "<stdin>", "exec", dont_inherit=True), main.__dict__)  # noqa: S102 (what a server is for)
    except SystemExit as end:
        status = 0 if end.code is None else end.code
    except BaseException:  # noqa: BLE001 (whatever it is, this is where an interpreter would end)
        sys.excepthook(*sys.exc_info())
        status = 1
    if not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 (as multiprocessing does, for the same reason)
    atexit._run_exitfuncs()  # noqa: SLF001
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status & 0xFF)


# Under this name it is started on a node.
if __name__ == "tandem_warm" and (payload := Server().serve()) is not None:
    _run(payload)
