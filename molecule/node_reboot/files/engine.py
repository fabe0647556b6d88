"""What an engine needs of `vllm serve`: health, models and completions, and an end that lets requests under way finish.

Usage: engine.py PORT, or without a port as a rank that only waits. A prompt "slow" takes some seconds.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOW_SEC = 6
under_way: list[str] = []


class Handler(BaseHTTPRequestHandler):
    def answer(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer({"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        under_way.append(request["prompt"])
        time.sleep(SLOW_SEC if request["prompt"] == "slow" else 0)
        self.answer({"choices": [{"text": "done"}], "usage": {"completion_tokens": 1}})
        under_way.pop()


def end(*_: object) -> None:
    while under_way:
        time.sleep(0.1)
    os._exit(0)


signal.signal(signal.SIGTERM, end)
if len(sys.argv) > 1:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    # Elsewhere, so that the signal's handler does not hold up a request.
    threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    time.sleep(60)
