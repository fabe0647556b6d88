"""Answers as an engine of vLLM does: paths with a key below /v1, and the ones beside it that must stay hidden."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL, PORT, KEY_FILE = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/metrics":
            self.answer(200, b"vllm:num_requests_waiting 0\n")
        else:
            self.answer(200, {} if self.path == "/health" else {"object": "list", "data": [{"id": MODEL}]})

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if not self.path.startswith("/v1/"):
            self.answer(200, {"done": self.path})
        elif self.headers.get("Authorization") != f"Bearer {KEY_FILE.read_text().strip()}":
            self.answer(401, {"error": {"message": "wrong key of the router"}})
        elif question.get("model") != MODEL:
            self.answer(404, {"error": {"message": f"not {question.get('model')}"}})
        else:
            message = {"role": "assistant", "content": f"I am {MODEL}"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.answer(
                200, {"id": "1", "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}
            )

    def answer(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
