"""Answer as an engine of vLLM does, for measurements of what is around it."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = ""

    def do_GET(self) -> None:
        """Say that all is well."""
        models = {"object": "list", "data": [{"id": self.model, "object": "model"}]}
        body = {"/v1/models": models, "/version": {"version": "0.32.0"}}.get(self.path, {})
        self._answer(b"" if self.path in ("/health", "/metrics") else json.dumps(body).encode())

    def do_POST(self) -> None:
        """Answer one token."""
        self.rfile.read(int(self.headers["Content-Length"]))
        choice = {"index": 0, "text": " a", "finish_reason": "length"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        self._answer(json.dumps({"id": "1", "model": self.model, "choices": [choice], "usage": usage}).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Serve what `--config` says, under the title of an engine that computes."""
    if "STANDIN" not in os.environ:
        os.environ["STANDIN"] = "titled"
        os.execv(sys.executable, ["VLLM::EngineCore", __file__, *sys.argv[1:]])  # noqa: S606 (for the title)
    lines = Path(sys.argv[sys.argv.index("--config") + 1]).read_text().splitlines()
    _Engine.model = lines[lines.index("served-model-name:") + 1].removeprefix("- ")
    port = next(int(line.removeprefix("port: ")) for line in lines if line.startswith("port: "))
    ThreadingHTTPServer(("127.0.0.1", port), _Engine).serve_forever()


if __name__ == "__main__":
    main()
