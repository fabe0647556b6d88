"""A hub with one small repository: answers on loopback as the hub's API did when it was recorded.

Runs on a node with its Python. Two files, one of them as large files are served, with the digest in the ETag.
"""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = sys.argv[1]
FILES = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"], "num_attention_heads": 4, "num_hidden_layers": 2}',
    "model.safetensors": b"not a real tensor file: enough to be downloaded, listed and copied\n" * 1000,
}


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        name = path.rsplit("/", 1)[-1]
        if path.startswith(f"/tandem/tiny/resolve/{COMMIT}/") and name in FILES:
            content = FILES[name]
            self.reply(content, body, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'})
        elif path.startswith("/api/models/tandem/tiny"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in FILES.items()]
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40} for name, content in FILES.items()
            ]
            document = tree if "/tree/" in path else {"id": "tandem/tiny", "sha": COMMIT, "siblings": siblings}
            self.reply(json.dumps(document).encode(), body, {"Content-Type": "application/json"})
        else:
            self.send_error(404)

    def reply(self, content: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, template: str, *arguments: object) -> None:
        print(template % arguments, flush=True)


ThreadingHTTPServer(("127.0.0.1", 8099), Hub).serve_forever()
