"""The health probe of a worker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .worker import Worker


@contextmanager
def health_probe(worker: Worker, host: str, port: int) -> Iterator[int]:
    """Answer ``GET /`` with 200 while the worker is healthy and 503 otherwise, as JSON, from a thread of its own.

    Yields the port, which is a free one if ``port`` is 0.

    Raises:
        OSError: the address is taken.
    """

    class Probe(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = ("status", "problem", "folded", "name")
            body = json.dumps({name: getattr(worker, name) for name in names}).encode()
            self.send_response(200 if worker.healthy else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds and say nothing new."""

    with ThreadingHTTPServer((host, port), Probe) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
