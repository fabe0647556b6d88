"""Servers kept warm: real ones, started as over SSH but for ssh, and real payloads."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import pytest
from warm_payloads import command, payload, plain

from tandem.drift.warm import broker, client, server

pytestmark = pytest.mark.slow

#: As sshd starts the command that it is given.
LOGIN = ["/bin/sh", "-c"]


@pytest.fixture
def node(tmp_path, any_module):
    socket = tmp_path / "warm"
    with broker.started(socket):
        yield client.Client(socket, LOGIN)


@pytest.fixture(scope="session")
def any_module(tmp_path_factory):
    """Make a module that does what it is told, once, for Ansible takes a second for each."""
    path = tmp_path_factory.mktemp("modules") / "any_module.py"
    path.write_text(
        "#!/usr/bin/python\nimport json\nfrom ansible.module_utils import basic\n"
        "exec(json.loads(basic._ANSIBLE_ARGS)['ANSIBLE_MODULE_ARGS']['lines'], globals())\n"
    )
    payload(path)
    return path


@pytest.fixture
def module(any_module):
    """Return the payload of a module of these lines of Python."""
    return lambda lines: payload(any_module, {"lines": textwrap.dedent(lines)})


#: Says what a program can find out about where it runs.
SELF = """
    import json, os, resource, signal, sys
    previous = os.umask(0)
    os.umask(previous)
    print(json.dumps({
        "cwd": os.getcwd(),
        "umask": previous,
        "environment": {key: value for key, value in os.environ.items() if key not in ("_", "SHLVL")},
        "argv": sys.argv,
        "input": sys.stdin.read(),
        "main": __name__,
        "identity": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()],
        "limits": [resource.getrlimit(number) for number in range(16)],
        "ignored": [number for number in range(1, 32) if signal.getsignal(number) == signal.SIG_IGN],
        "handled": [number for number in range(1, 32) if callable(signal.getsignal(number))],
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:3],
        "open": len(os.listdir("/proc/self/fd")),
    }))
    sys.exit(0)
"""


def result(of: tuple[int, bytes, bytes] | None):
    assert of is not None
    return of[0], json.loads(of[1]), of[2]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ansible.builtin.stat", {"path": "/etc/passwd"}),
        ("ansible.builtin.stat", {"way": "/etc/passwd"}),
        ("ansible.builtin.file", {"path": "/nowhere/at/all", "state": "touch"}),
        # With a module_util of this project, and of a collection.
        ("network_interface_info", {"interfaces": ["lo"]}),
        ("community.general.ini_file", {"path": "/nowhere/at/all", "section": "s", "create": False}),
    ],
)
def test_modules_say_what_they_say_over_plain_ssh(node, name, arguments):
    data = payload(name, arguments)
    for _ in range(2):
        assert result(node.run(command(), data)) == result(plain(data))


def test_facts_are_those_of_plain_ssh(node):
    data = payload(
        "ansible.builtin.setup", {"gather_subset": ["!all", "!min", "python", "distribution", "user", "env"]}
    )
    (status, warm, _), (_, cold, _) = result(node.run(command(), data)), result(plain(data))
    assert status == 0
    for facts in (warm["ansible_facts"], cold["ansible_facts"]):
        for name in ("_", "SHLVL"):
            facts["ansible_env"].pop(name, None)
    assert warm == cold


def test_a_module_finds_itself_where_plain_ssh_puts_it(node, module):
    data = module(SELF)
    assert json.loads(where_it_lies(node.run(command(), data)[1])) == json.loads(where_it_lies(plain(data)[1]))


@pytest.mark.parametrize(
    "lines",
    [
        "raise RuntimeError('broken')",
        "import absent_for_sure",
        "import sys; sys.exit('a word')",
        "import sys; sys.exit(3)",
        "import sys; sys.exit(259)",
        "import os; os._exit(9)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.close(1); os.close(2); os._exit(0)",
        "import atexit, sys; atexit.register(print, 'at the end'); print('first'); sys.exit(1)",
        "import sys, threading; threading.Timer(0.2, print, ['later']).start(); sys.exit(0)",
        "import os; os.write(2, b'to stderr'); os.write(1, bytes([255, 0, 254])); os._exit(0)",
    ],
)
def test_modules_that_end_badly_end_as_over_plain_ssh(node, module, lines):
    data = module(lines)
    warm, cold = node.run(command(), data), plain(data)
    assert warm[0] == cold[0]
    assert where_it_lies(warm[1]) == where_it_lies(cold[1])
    # Of a killed interpreter, the shell says so.
    assert warm[2].splitlines()[-1:] == cold[2].splitlines()[-1:] or b"Killed" in cold[2]
    # The server is still there.
    assert result(node.run(command(), payload("ansible.builtin.ping")))[0] == 0


def test_ten_megabytes_come_whole(node, module):
    data = module("import sys; sys.stdout.write('x' * 10_000_000 + 'end'); sys.stderr.write('y' * 3_000_000)")
    status, out, err = node.run(command(), data)
    assert (status, len(out), out[-3:], len(err)) == (1, 10_000_003 + len(out[10_000_003:]), out[-3:], len(err))
    assert out[:10_000_003] == b"x" * 10_000_000 + b"end"
    assert err[:3_000_000] == b"y" * 3_000_000


def test_what_a_module_changes_of_itself_is_gone_with_it(node, module):
    before = where_it_lies(node.run(command(), module(SELF))[1])
    node.run(
        command(),
        module(
            """
            import builtins, os, sys, ansible.module_utils.basic
            os.chdir("/"); os.umask(0o777); os.environ["LEFT"] = "behind"; os.environ.pop("PATH")
            ansible.module_utils.basic.AnsibleModule = None
            sys.exit(0)
            """
        ),
    )
    assert where_it_lies(node.run(command(), module(SELF))[1]) == before
    assert result(node.run(command(), payload("ansible.builtin.ping")))[1]["ping"] == "pong"


def test_a_daemon_is_not_waited_for_and_lives_on(node, module, tmp_path):
    lines = f"""
        import os, sys, time
        if os.fork() == 0:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nothing, number)
            time.sleep(1)
            open({str(tmp_path / "done")!r}, "w").close()
            os._exit(0)
        sys.exit(0)
    """
    assert node.run(command(), module(lines))[0] == 0
    assert not (tmp_path / "done").exists()
    assert until((tmp_path / "done").exists)


def test_modules_run_side_by_side(node, module, tmp_path):
    """Each waits for the other."""
    meet = """
        import os, sys, time
        open({mine!r}, "w").close()
        for _ in range(1000):
            if os.path.exists({other!r}):
                sys.exit(0)
            time.sleep(0.01)
        sys.exit(1)
    """
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    data = [module(meet.format(mine=a, other=b)), module(meet.format(mine=b, other=a))]
    ended = []
    threads = [threading.Thread(target=lambda d=d: ended.append(node.run(command(), d)[0])) for d in data]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [0, 0]


def test_modules_share_a_server_for_each_command(node, module):
    parent = module("import os; print(os.getppid()); os._exit(0)")
    first, again = (node.run(command(), parent)[1] for _ in range(2))
    other = node.run(command().replace("sh -c '", "sh -c 'LANG=C "), parent)[1]
    assert first == again != other


def test_whoever_stops_waiting_ends_the_module(node, module, tmp_path):
    """As a task that has a timeout, or is interrupted."""
    note = tmp_path / "process"
    sleeper = module(
        f"import os, time; open({str(note) + '.new'!r}, 'w').write(str(os.getpid())); "
        f"os.rename({str(note) + '.new'!r}, {str(note)!r}); time.sleep(600)"
    )
    script = (
        "import sys; from pathlib import Path; from tandem.drift.warm import client;"
        "client.Client(Path(sys.argv[1]), ['/bin/sh', '-c']).run(sys.argv[2], sys.stdin.buffer.read())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(node.broker), command()], stdin=subprocess.PIPE
    ) as waiting:
        waiting.stdin.write(sleeper)
        waiting.stdin.close()
        assert until(note.exists)
        process = int(note.read_text())
        assert alive(process)
        waiting.kill()
    assert until(lambda: not alive(process))
    assert result(node.run(command(), payload("ansible.builtin.ping")))[0] == 0


def test_nothing_is_left_at_the_end(tmp_path, module):
    socket = tmp_path / "warm"
    show = module("import os; print(os.getppid()); os._exit(0)")
    note = tmp_path / "process"
    sleeper = module(f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid()) + ' '); time.sleep(600)")
    with broker.started(socket):
        node = client.Client(socket, LOGIN)
        server = int(node.run(command(), show)[1])
        assert alive(server)

        def wait() -> None:
            with contextlib.suppress(client.LostError):
                node.run(command(), sleeper)

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert until(lambda: note.exists() and note.read_text().endswith(" "))
    waiting.join(timeout=30)
    assert not waiting.is_alive()
    assert until(lambda: not alive(server) and not alive(int(note.read_text())))
    assert node.run(command(), show) is None


def test_a_server_that_was_killed_is_a_lost_connection_and_comes_back(node, module):
    kill = module("import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(1)")
    with pytest.raises(client.LostError):
        node.run(command(), kill)
    assert result(node.run(command(), payload("ansible.builtin.ping")))[0] == 0


def test_a_server_that_is_terminated_ends_its_modules(node, module, tmp_path):
    note = tmp_path / "process"
    sleeper = module(
        f"import os, signal, time; open({str(note)!r}, 'w').write(str(os.getpid()));"
        "os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)"
    )
    with pytest.raises(client.LostError):
        node.run(command(), sleeper)
    assert until(lambda: not alive(int(note.read_text())))


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ("/bin/sh -c '/nowhere/python3 && sleep 0'", payload("ansible.builtin.ping", python="/nowhere/python3")),
        ("/bin/sh -c 'true && sleep 0'", payload("ansible.builtin.ping")),
        (f"/bin/sh -c '{sys.executable} -X dev && sleep 0'", payload("ansible.builtin.ping")),
        (command(), b"print('no payload')\n"),
        (command(), b"#!" + sys.executable.encode() + b"\n_ANSIBALLZ_WRAPPER = True\n"),
    ],
    ids=["no such Python", "another command", "more words", "no payload", "no zip in it"],
)
def test_what_cannot_be_kept_warm_is_left_to_plain_ssh(node, line, data):
    for _ in range(2):
        assert node.run(line, data) is None


def test_a_payload_of_another_ansible_is_left_to_plain_ssh(node):
    ping = payload("ansible.builtin.ping")
    assert node.run(command(), ping)[0] == 0
    assert node.run(command(), with_other_basic(ping)) is None
    assert node.run(command(), ping)[0] == 0


def test_noise_of_a_login_and_markers_of_become_do_not_matter(tmp_path, module):
    """A sudo that runs what it is told, in the words of Ansible's own plugin."""
    from ansible.plugins.loader import become_loader, get_shell_plugin

    (tmp_path / "sudo").write_text('#!/bin/sh\nwhile [ "$1" != root ]; do shift; done\nshift\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    login = ["/bin/sh", "-c", f'PATH={tmp_path}:$PATH; echo "Welcome to this machine"; eval "$0"']
    parent = module("import os; print(os.getppid()); os._exit(0)")
    socket, seen = tmp_path / "warm", set()
    with broker.started(socket):
        for _ in range(2):
            become = become_loader.get("sudo")
            become.set_options(direct={"become_user": "root"})
            inner = become.build_become_command(sys.executable, get_shell_plugin(shell_type="sh", executable="/bin/sh"))
            assert "BECOME-SUCCESS" in inner
            whole = "/bin/sh -c " + shlex.quote(f"{inner} && sleep 0")
            status, out, _ = client.Client(socket, login).run(whole, parent)
            assert status == 0
            seen.add(out)
    assert len(seen) == 1


def test_commands_of_the_shell_wait_for_a_python_to_be_known(node, tmp_path):
    words = f"/bin/sh -c '( umask 77 && mkdir {tmp_path}/made && echo made >&2 && exit 3 )'"
    assert node.run_shell(words) is None
    assert node.run(command(), payload("ansible.builtin.ping"))[0] == 0
    assert node.run_shell(words) == (3, b"", b"made\n")
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700


def where_it_lies(text: bytes) -> bytes:
    """Give tracebacks the same place for each payload."""
    return re.sub(rb"/tmp/ansible_\w+_payload_\w+/\w+\.zip/", b"/AnsiballZ/", text)


def with_other_basic(data: bytes) -> bytes:
    found = server.ZIP.search(data)
    old, new = zipfile.ZipFile(io.BytesIO(base64.b64decode(found[1]))), io.BytesIO()
    with zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            text = old.read(name)
            archive.writestr(name, text + b"# other\n" if re.search(r"/basic\.py$", name) else text)
    return data[: found.start(1)] + base64.b64encode(new.getvalue()) + data[found.end(1) :]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def until(holds, timeout_sec: float = 20.0) -> bool:
    end = time.monotonic() + timeout_sec
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False
