"""``tandem router``: the front of all engines."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.errors import TandemError
from tandem.router.routing import explain

if TYPE_CHECKING:
    from tandem.router.config.load import Loaded


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``router`` commands."""
    parser = subparsers.add_parser("router", help="check the configuration of the router, and serve it")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="say everything that is wrong in a configuration",
        description="Read a configuration of vLLM Semantic Router (version v0.3, release 0.4.0) as this router would, "
        "and say everything that is wrong in it or not supported, with lines. The status is 0 for a file that can be "
        "served, else 2.",
    )
    check.add_argument("config", type=Path, metavar="CONFIG", help="the file")
    check.add_argument("--json", action="store_true", help="print a document with the problems")
    check.set_defaults(handler=_check)
    serve = commands.add_parser(
        "serve",
        help="answer requests as a configuration says",
        description="Listen where the configuration says, route requests to its models, and go on until SIGTERM. Keys "
        "are taken from the environment, or from files of their names in $CREDENTIALS_DIRECTORY. SIGHUP reads the "
        "certificate again.",
    )
    serve.add_argument("config", type=Path, metavar="CONFIG", help="the file")
    serve.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="lines for people or for machines"
    )
    serve.add_argument(
        "--tls-certificate",
        type=Path,
        metavar="FILE",
        default=os.environ.get("TANDEM_ROUTER_TLS_CERTIFICATE") or None,
        help="certificates for https on all listeners, ours first (default: $TANDEM_ROUTER_TLS_CERTIFICATE)",
    )
    serve.add_argument(
        "--tls-key",
        type=Path,
        metavar="FILE",
        default=os.environ.get("TANDEM_ROUTER_TLS_KEY") or None,
        help="its key (default: $TANDEM_ROUTER_TLS_KEY)",
    )
    serve.add_argument(
        "--admin-listen",
        type=_place,
        metavar="ADDRESS:PORT",
        help="another listener, without keys, that has /health, /ready and /metrics only",
    )
    serve.add_argument("--stop-timeout", type=_positive, default=30.0, metavar="SEC", help="for requests at the end")
    serve.add_argument("--max-request-mib", type=_positive, default=32.0, metavar="MIB", help="larger ones are refused")
    serve.add_argument("--max-connections", type=_count, default=4096, metavar="N", help="of clients, all together")
    serve.set_defaults(handler=_serve)
    explain.add_parser(commands, _load)


def _check(arguments: argparse.Namespace) -> int:
    loaded = _load(arguments.config)
    file = str(arguments.config)
    if arguments.json:
        problems = [
            {"line": problem.line, "path": problem.path, "found": problem.found, "remedy": problem.remedy}
            for problem in loaded.problems
        ]
        print(json.dumps({"file": file, "valid": loaded.config is not None, "problems": problems}, indent=2))
    elif loaded.config is None:
        for problem in loaded.problems:
            print(problem.render(file), file=sys.stderr)
    else:
        models, decisions = loaded.config.providers.models, loaded.config.routing.decisions
        print(f"{file}: fine ({len(models)} models, {len(decisions)} decisions)")
    return 0 if loaded.config else 2


def _serve(arguments: argparse.Namespace) -> int:
    loaded = _load(arguments.config)
    file = str(arguments.config)
    if loaded.config is None:
        for problem in loaded.problems:
            print(problem.render(file), file=sys.stderr)
        return 2
    try:
        from tandem.router.serve.connection import Limits
        from tandem.router.serve.run import Options, run
    except ModuleNotFoundError as error:
        raise _incomplete(error) from error

    options = Options(
        log_format=arguments.log_format,
        stop_timeout_sec=arguments.stop_timeout,
        limits=Limits(
            max_request_bytes=int(arguments.max_request_mib * (1 << 20)), max_connections=arguments.max_connections
        ),
        certificate=arguments.tls_certificate,
        key=arguments.tls_key,
        admin=arguments.admin_listen,
    )
    text = arguments.config.read_text(encoding="utf-8")
    return run(loaded.config, file, text, options, os.environ)


def _incomplete(error: ModuleNotFoundError) -> TandemError:
    return TandemError(
        f"the router needs {error.name}, which is not installed here: install tandem with its extra, tandem[router]"
    )


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address with a port; write one such as 127.0.0.1:9190")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _load(path: Path) -> Loaded:
    try:
        from tandem.router.config import tree
        from tandem.router.config.load import Loaded, load
        from tandem.router.config.problems import Problem
    except ModuleNotFoundError as error:
        raise _incomplete(error) from error

    try:
        with path.open("rb") as file:
            # One byte more than allowed shows that there is too much; a device has no end.
            return load(file.read(tree.MAX_BYTES + 1))
    except OSError as error:
        found = f"no file that can be read ({error.strerror or error})"
        return Loaded(None, (Problem(0, "", found, "name the configuration"),))
