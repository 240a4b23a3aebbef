"""The health probe of a worker."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..connect.background import FAILURES
from .worker import Worker

CONNECTIONS = 32
"""Connections answered at the same time; a further one is closed at once."""

SILENT_S = 5.0
"""A connection that sends no request for this long is closed."""


class _Server(ThreadingHTTPServer):
    """Answers a bounded number of connections, each in a thread of its own."""

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((host, port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A prober that leaves early is no matter for the log."""


@contextmanager
def health_probe(worker: Worker, host: str, port: int) -> Iterator[int]:
    """Answer ``GET /`` and ``HEAD /`` with 200 while the worker is healthy and 503 otherwise, from threads of its own.

    The body of ``GET`` is JSON: status, problem, events folded, name, and how often each background task has failed.

    Args:
        worker: the worker.
        host: the address to listen on; an IPv6 address with or without brackets.
        port: the port; 0 takes a free one.

    Yields the port.

    Raises:
        OSError: the address is taken.
    """

    class Probe(BaseHTTPRequestHandler):
        timeout = SILENT_S

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self.wfile.write(self._answer())

        def _answer(self) -> bytes:
            names = ("status", "problem", "folded", "name")
            about = {name: getattr(worker, name) for name in names}
            body = json.dumps(about | {"background_failures": dict(FAILURES)}).encode()
            self.send_response(200 if worker.healthy else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            return body

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds and say nothing new."""

    with _Server(host.strip("[]"), port, Probe) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
