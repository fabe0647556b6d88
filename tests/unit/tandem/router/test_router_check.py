"""``tandem router check`` as it is typed."""

import json
import os
import subprocess
import sys

import pytest
from router_configs import BASE, FIXTURES, GOOD

from tandem import cli


@pytest.mark.parametrize("name", GOOD)
def test_fine(name, capsys):
    assert cli.main(["router", "check", str(FIXTURES / name)]) == 0
    out, err = capsys.readouterr()
    assert ": fine (" in out
    assert not err


def test_problems_are_lines(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(BASE.replace("8899", "99999").replace("version: v0.3", "version: v1"))
    assert cli.main(["router", "check", str(path)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.splitlines() == [
        f"{path}:1: version: found 'v1'; write v0.3",
        f"{path}:5: listeners[0].port: found 99999; write a number from 1 to 65535",
    ]


def test_json(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(BASE.replace("8899", "99999"))
    assert cli.main(["router", "check", "--json", str(path)]) == 2
    out, err = capsys.readouterr()
    problem = {"line": 5, "path": "listeners[0].port", "found": "99999", "remedy": "write a number from 1 to 65535"}
    assert json.loads(out) == {"file": str(path), "valid": False, "problems": [problem]}
    assert not err


def test_json_of_a_good_one(capsys):
    path = str(FIXTURES / "fusion.yaml")
    assert cli.main(["router", "check", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": path, "valid": True, "problems": []}


@pytest.mark.parametrize("kind", ["missing", "directory", "device"])
def test_no_file(kind, tmp_path, capsys):
    path = {"missing": tmp_path / "none.yaml", "directory": tmp_path, "device": "/dev/zero"}[kind]
    assert cli.main(["router", "check", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}: found ")


def test_any_bytes_are_status_2(tmp_path):
    """As a process: also what ends it hard, such as a stack that overflows, would be seen."""
    path = tmp_path / "config.yaml"
    for data in (b"{" * 200_000, b"&a [*a]", b"\xff" * 10, b"- " * 100_000, os.urandom(1000)):
        path.write_bytes(data)
        command = [sys.executable, "-m", "tandem", "router", "check", str(path)]
        run = subprocess.run(command, check=False, capture_output=True)
        assert run.returncode == 2
        assert b"Traceback" not in run.stderr


def test_odd_names_can_be_printed(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text('version: v0.3\n"\\ud83d\\n\\e[31m": 1\n')
    assert cli.main(["router", "check", str(path)]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_without_its_extra_it_says_what_is_missing():
    program = "import sys; sys.modules['yaml'] = None; from tandem import cli; sys.exit(cli.main(sys.argv[1:]))"
    argv = [sys.executable, "-c", program, "router", "check", str(FIXTURES / GOOD[0])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "install tandem with its extra, tandem[router]" in done.stderr
    assert "Traceback" not in done.stderr
