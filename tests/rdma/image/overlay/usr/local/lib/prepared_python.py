"""Run Ansible's modules in processes that have the standard library already.

An emulated processor takes longer to start Python, to import that library and to compile Ansible's, anew for each task,
than for all the rest of a task. So one process does that once and forks. The modules themselves are what Ansible sent,
run by the same Python; what they compile to is found by the digest of its source.

The client, /usr/local/bin/prepared-python, writes its number to a pipe, and reads the exit status from one of its own.
"""

import ctypes
import gc
import hashlib
import importlib
import marshal
import os
import signal
import sys
import traceback
import types
import zipimport
from pathlib import Path

#: What Ansible's modules import of the standard library.
FORESEEN = """
argparse base64 collections.abc configparser contextlib dataclasses datetime decimal difflib email.message enum errno
fcntl functools glob grp hmac http.client inspect io ipaddress itertools json locale logging operator platform pwd queue
ast random re runpy secrets selectors shlex shutil socket stat string subprocess syslog tempfile threading time typing
urllib.parse urllib.request uuid xml.etree.ElementTree zipfile
"""
DIRECTORY = Path("/run/prepared-python")
PIDFD_GETFD = 438
libc = ctypes.CDLL(None, use_errno=True)
compiled = {}
compile_source = zipimport._compile_source


def remembered(path, source):
    """Compile a file of an archive, unless somebody has before."""
    digest = hashlib.sha256(source).hexdigest()
    if digest not in compiled:
        compiled[digest] = compile_source(path, source)
        new = DIRECTORY / f"{os.getpid()}.new"
        new.write_bytes(marshal.dumps(compiled[digest]))
        new.rename(DIRECTORY / f"{digest}.code")
    return compiled[digest]


def collect():
    """Take over what children have compiled."""
    for path in DIRECTORY.glob("*.code"):
        compiled[path.stem] = marshal.loads(path.read_bytes())
        path.unlink()


def become(client):
    """Take the files, the directory and the environment of a client."""
    process = os.pidfd_open(client)
    for number in range(3):
        copy = libc.syscall(PIDFD_GETFD, process, number, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), f"file {number} of process {client}")
        os.dup2(copy, number)
        os.close(copy)
    os.close(process)
    os.chdir(f"/proc/{client}/cwd")
    variables = Path(f"/proc/{client}/environ").read_bytes().split(b"\0")
    os.environb.clear()
    os.environb.update(variable.split(b"=", 1) for variable in variables if variable)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - for good


def run():
    """Run what is on standard input, as the interpreter would, and return its exit status."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    try:
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), main.__dict__)
    except SystemExit as error:
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def serve(client):
    """Run one module in a process of its own, and tell its client how it ended."""
    child = os.fork()
    if child == 0:
        os.setsid()
        become(client)
        status = run()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(ended)
    (DIRECTORY / str(client)).write_text(f"{status if status >= 0 else 128 - status}\n")


def main():
    for name in FORESEEN.split():
        importlib.import_module(name)
    zipimport._compile_source = remembered
    os.mkfifo(DIRECTORY / "requests", 0o600)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    # Open for both, so that it never ends.
    with os.fdopen(os.open(DIRECTORY / "requests", os.O_RDWR)) as requests:
        for line in requests:
            collect()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(int(line))
                os._exit(0)


if __name__ == "__main__":
    main()
