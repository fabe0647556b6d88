"""The top of the command line."""

import subprocess
import sys

import pytest

from tandem import cli
from tandem.errors import TandemError


def test_an_error_is_one_line_and_status_2(capsys):
    assert cli.main(["app", "digest", "--name", "Bad Name", "--python-version", "3.11"]) == 2
    assert capsys.readouterr().err.startswith("tandem: error: app name 'Bad Name'")


def test_defects_keep_their_traceback(monkeypatch):
    def broken(topic):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "build_parser", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["app"])
    assert not issubclass(ZeroDivisionError, TandemError)


def test_a_reader_that_goes_ends_it_quietly():
    program = (
        "import sys; from types import SimpleNamespace as Some; import tandem.cli as c;"
        "talks = Some(handler=lambda parsed: print('x' * 200000) or 0);"
        "c.build_parser = lambda topic: Some(parse_args=lambda words: talks); sys.exit(c.main(['plan']))"
    )
    argv = ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | true', sys.executable, program]
    done = subprocess.run(argv, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_names_every_topic(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name, _, _ in cli.TOPICS)


def test_only_the_topic_is_imported():
    script = (
        "import sys, tandem.cli as c; c.build_parser(None); print(*sorted(m for m in sys.modules if 'tandem.' in m))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    assert loaded.split() == ["tandem.cli", "tandem.errors"]
