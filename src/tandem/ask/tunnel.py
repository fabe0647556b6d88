"""A connection to a server that listens on its node's loopback only: through that node's sshd."""

from __future__ import annotations

import http.client
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tandem.ask.endpoint import Endpoint
from tandem.errors import TandemError

_ANSWER_TIMEOUT_SEC = 300


def read_key(target: Endpoint) -> str:
    """Return the API key, which only root on its node can read.

    Raises:
        TandemError: where the node is not reached or has no such key yet.

    """
    path = target.key_path
    become = ["sudo", "-n"] if target.become else []
    done = subprocess.run([*target.ssh, *become, "cat", path], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "no answer").splitlines()[-1]
        raise TandemError(f"{target.node}: cannot read the key of {target.name}: {reason}. Has site.yml run?")
    return done.stdout.strip()


@contextmanager
def connect(target: Endpoint) -> Iterator[http.client.HTTPConnection]:
    """Open an HTTP connection to the server; it ends with the block.

    Raises:
        TandemError: where nothing listens on the other side.

    """
    # ssh -W joins its standard input and output to the server's port: no local port that others could use.
    ours, theirs = socket.socketpair()
    argv = [*target.ssh[:-1], "-W", f"{target.address}:{target.port}", target.ssh[-1]]
    end = theirs.fileno()
    with ours, subprocess.Popen(argv, stdin=end, stdout=end, stderr=subprocess.PIPE, text=True) as ssh:
        theirs.close()
        connection = http.client.HTTPConnection(target.address, target.port, timeout=_ANSWER_TIMEOUT_SEC)
        ours.settimeout(_ANSWER_TIMEOUT_SEC)
        connection.sock = ours
        try:
            yield connection
        except (http.client.BadStatusLine, ConnectionError) as error:
            ssh.terminate()
            reason = (ssh.stderr.read().strip() if ssh.stderr else "") or str(error)
            raise TandemError(
                f"{target.node}: nothing answers at {target.address}:{target.port}: {reason.splitlines()[-1]}. "
                f"See `systemctl status {target.unit}` there."
            ) from error
        finally:
            ssh.terminate()
