"""A stand-in for `vllm serve`: says what the control file (JSON, read at every request) tells it to say.

Usage: fake_engine.py CONTROL [PORT]; without a port it is a headless rank and only waits.
Control: start_after_sec, health (status), token (answer completions), counters (advance at every look), exit (status),
ignore_term, stray (leave a process of a session of its own behind).
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(control().get("health", 200), b"")
        else:
            tokens = next(TOKENS) if control().get("counters") else 0
            self.answer(200, f'vllm:generation_tokens_total{{model_name="m"}} {tokens}.0\n'.encode())

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            self.answer(401, b'{"error": {"message": "Unauthorized"}}')
            return
        while not control().get("token", True):
            time.sleep(0.05)
        usage = {"completion_tokens": request["max_tokens"]}
        self.answer(200, json.dumps({"choices": [{"text": ""}], "usage": usage}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


def main() -> None:
    if control().get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
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
