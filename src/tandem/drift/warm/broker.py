"""Keep a warm server on each node for as long as a run lasts, and hand payloads to it.

Ansible runs every task on every node in a process of its own, which cannot keep anything. This is what they all reach,
through a socket in a private directory: it starts the servers, each by the ssh command that would have run the module,
and ends them when it ends. If it is killed, the input of the ssh commands ends, and with it the servers.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.drift.warm import commands, server

#: A node that takes longer than this to start a server is asked as it would be without.
START_TIMEOUT_SEC = 60
#: The first line that a server's Python reads, and executes: it makes the server's source, which follows, a module.
_FIRST = (
    b"import sys,types;print('tandem-warm',flush=True);m=sys.modules['tandem_warm']=types.ModuleType('tandem_warm');"
    b"b=sys.stdin.buffer;exec(compile(b.read(int(b.readline())),'tandem_warm','exec'),m.__dict__)\n"
)
_FIRST_ANSWER = b"tandem-warm\n"
_CHUNK_BYTES = 65536
#: The longest output of a module in one message.
_LIMIT_BYTES = 2**20

#: The loop that serves, and what ends it.
_Begun = concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]


class _Node:
    """A server on a node, and the jobs that it has."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._kept: set[str] = set()
        self._jobs: dict[int, asyncio.StreamWriter] = {}
        self._number = 0
        self.gone = False
        self._listener = asyncio.ensure_future(self._listen())

    async def run(self, payload: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run a payload, and write what the server says of it; the reader ends if nobody waits for that any more."""
        found = server.ZIP.search(payload)
        if found is None:
            writer.write(server.frame(server.REFUSED, 0, b"not a payload of this form"))
            return
        digest = hashlib.sha256(found[1]).hexdigest()
        if digest not in self._kept:
            self._kept.add(digest)
            self._send(server.frame(server.KEEP, 0, found[1]))
        program = payload[: found.start(1)] + payload[found.end(1) :]
        await self._job(server.RUN, digest.encode() + b"\n" + program, reader, writer)

    async def run_shell(self, command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run a command of the shell, likewise."""
        await self._job(server.SHELL, command, reader, writer)

    async def _job(self, kind: int, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        number = self._number
        self._jobs[number] = writer
        self._send(server.frame(kind, number, data))
        await reader.read()
        if self._jobs.pop(number, None):
            self._send(server.frame(server.STOP, number))

    def _send(self, data: bytes) -> None:
        if self._process.stdin is not None and not self.gone:
            self._process.stdin.write(data)

    async def _listen(self) -> None:
        received = bytearray()
        assert self._process.stdout is not None  # noqa: S101 (for the types: it was started so)
        while data := await self._process.stdout.read(_CHUNK_BYTES):
            received += data
            for kind, number, content in server.frames(received):
                if writer := self._jobs.get(number):
                    writer.write(server.frame(kind, 0, content))
                    if kind in (server.END, server.REFUSED):
                        del self._jobs[number]
                        writer.close()
        self.gone = True
        # Without a word about how it ended, the other side knows that the connection was lost.
        for writer in self._jobs.values():
            writer.close()
        self._jobs.clear()

    async def end(self) -> None:
        """Let the server end, and with it the ssh command."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
        self._listener.cancel()


class _Broker:
    def __init__(self) -> None:
        self._nodes: dict[str, asyncio.Task[_Node | None]] = {}
        #: The Python that modules run in, for each way to log in.
        self._interpreters: dict[tuple[str, ...], str] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one module on one node."""
        try:
            request = json.loads(await reader.readline())
            data = await reader.readexactly(request["data_bytes"])
            node = await self._node(request)
            if node is None:
                writer.write(server.frame(server.REFUSED, 0, b"there is no server"))
            elif request["command"] is None:
                await node.run_shell(data, reader, writer)
            else:
                await node.run(data, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Whoever asked is gone.
        finally:
            writer.close()

    async def _node(self, request: Mapping[str, Any]) -> _Node | None:
        """Return the server for this command, started if it is gone. What could not be started is not tried again."""
        login = tuple(request["login"])
        if command := request["command"]:
            self._interpreters[login] = request["interpreter"]
        elif login in self._interpreters:
            command = commands.login_command(self._interpreters[login])
        else:
            return None
        key = commands.key(login, command)
        task = self._nodes.get(key)
        if task and task.done() and (node := task.result()) and node.gone:
            task = None
        if task is None:
            task = self._nodes[key] = asyncio.ensure_future(_start([*login, command], request))
        return await asyncio.shield(task)

    async def end(self) -> None:
        nodes = await asyncio.gather(*self._nodes.values())
        await asyncio.gather(*(node.end() for node in nodes if node))


async def _start(argv: Sequence[str], request: Mapping[str, Any]) -> _Node | None:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # A master connection that ssh leaves behind would hold a pipe open. What is wrong with a node says the plain
        # connection, which is tried next.
        stderr=asyncio.subprocess.DEVNULL,
        env=request["environment"],
        cwd=request["directory"],
        start_new_session=True,
        limit=_LIMIT_BYTES,
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_SEC):
            started = await _introduce(process)
    except (TimeoutError, ConnectionError, asyncio.LimitOverrunError, ValueError):
        started = False
    if started:
        return _Node(process)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    return None


async def _introduce(process: asyncio.subprocess.Process) -> bool:
    """Make a Python that reads its first line into a server; return whether it became one."""
    assert process.stdin is not None  # noqa: S101 (for the types: it was started so)
    assert process.stdout is not None  # noqa: S101
    source = Path(server.__file__).read_bytes()
    # One at a time: what is sent too early would end up in the buffer of the step before.
    for text, answer in ((_FIRST, _FIRST_ANSWER), (b"%d\n" % len(source) + source, server.READY)):
        process.stdin.write(text)
        # A login shell, or become, may have said something before.
        while line := await process.stdout.readline():
            if line == answer:
                break
        else:
            return False
    return True


async def _serve(socket: Path, begun: _Begun) -> None:
    broker, ending = _Broker(), asyncio.Event()
    try:
        listening = await asyncio.start_unix_server(broker.answer, socket, limit=_LIMIT_BYTES)
    except OSError as error:
        begun.set_exception(error)
        return
    begun.set_result((asyncio.get_running_loop(), ending))
    await ending.wait()
    listening.close()
    await broker.end()


@contextlib.contextmanager
def started(socket: Path) -> Iterator[None]:
    """Serve at this socket, in a directory that nobody else can enter, until the end of the block.

    Raises:
        OSError: There can be no socket of this name.
    """
    begun: _Begun = concurrent.futures.Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(socket, begun)), name="warm", daemon=True)
    thread.start()
    loop, ending = begun.result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
