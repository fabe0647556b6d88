"""A stand-in for `vllm serve`: says what the control file (JSON, read at every request) tells it to say.

Usage: fake_engine.py CONTROL [PORT]; without a port it is a headless rank and only waits.
Control: start_after_sec, health (status), token (answer completions), counters (advance at every look), exit (status),
ignore_term, drain (end by SIGTERM only when `drained`), stray (leave a process of a session of its own behind).
"""

import json
import os
import signal
import socketserver  # http.server takes long to import, and dozens of these are started
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

CONTROL = Path(sys.argv[1])
TOKENS = count()


def control() -> dict[str, Any]:
    try:
        return json.loads(CONTROL.read_text())
    except (OSError, ValueError):
        return {}


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        path = self.rfile.readline().split()[1].decode()
        headers: dict[str, str] = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name] = value
        status, body = self.respond(path, headers)
        self.wfile.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def respond(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        if path == "/health":
            return control().get("health", 200), ""
        if path == "/metrics":
            tokens = next(TOKENS) if control().get("counters") else 0
            return 200, f'vllm:generation_tokens_total{{model_name="m"}} {tokens}.0\n'
        if headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            return 401, '{"error": {"message": "Unauthorized"}}'
        request = json.loads(self.rfile.read(int(headers["Content-Length"])))
        while not control().get("token", True):
            time.sleep(0.05)
        usage = {"completion_tokens": request["max_tokens"]}
        return 200, json.dumps({"choices": [{"text": ""}], "usage": usage})


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A supervisor that gave up a probe is no news."""


def drain(*_: Any) -> None:
    CONTROL.with_suffix(".draining").touch()
    while not control().get("drained"):
        time.sleep(0.05)
    os._exit(0)


def main() -> None:
    if control().get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if control().get("drain"):
        signal.signal(signal.SIGTERM, drain)
    if control().get("stray"):
        stray = subprocess.Popen(["sleep", "60"], start_new_session=True)
        CONTROL.with_suffix(".stray").write_text(str(stray.pid))
    CONTROL.with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(control().get("start_after_sec", 0))
    if len(sys.argv) > 2:
        server = Server(("127.0.0.1", int(sys.argv[2])), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    while "exit" not in control():
        time.sleep(0.05)
    os._exit(control()["exit"])


main()
