"""An endpoint of embeddings on loopback that does what a test tells it to."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tandem.router.config.general import EmbeddingEndpoint
from tandem.router.config.values import Address

WORDS = ("password", "reset", "cake", "recipe", "invoice")


def vector_of(text, dimensions=8):
    """Return what text is about, by its words; anything else is noise of its own."""
    vector = [float(text.lower().count(word)) for word in WORDS]
    noise = hashlib.sha256(text.encode()).digest()
    return (vector + [byte / 2550 for byte in noise])[:dimensions]


class Endpoint:
    """`script` is what happens next, one entry for each request: `good` when it is over."""

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.headers = []
        self.dimensions = 8
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc_info):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def config(self, **more):
        base = Address("http", "127.0.0.1", self.port, "/v1")
        return EmbeddingEndpoint(base_url=base, model="tiny", **({"timeout_seconds": 1} | more))

    def answer(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        self.requests.append(body)
        self.headers.append(handler.headers)
        what = self.script.pop(0) if self.script else "good"
        if what == "slow":
            time.sleep(5)
            return
        if what == "cut":
            handler.connection.close()
            return
        status, data = (what, b"{}") if isinstance(what, int) else (200, what)
        if what in ("good", "shuffled"):
            entries = [
                {"object": "embedding", "index": place, "embedding": vector_of(text, self.dimensions)}
                for place, text in enumerate(body["input"])
            ]
            data = json.dumps({"data": entries if what == "good" else entries[::-1]}).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
