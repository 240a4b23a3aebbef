"""The dashboard as a server on an address, while a block lasts."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn

from .reader import Reader
from .routes import create_app
from .watcher import Watcher

CONNECTIONS = 600


class Server(uvicorn.Server):
    """A server whose process listens to signals itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(source: Reader, host: str, port: int, token: str | None, names: frozenset[str]) -> AsyncIterator[int]:
    """Serve the dashboard while the block lasts; yields its port.

    Args:
        source: the source of its data.
        host, port: where it answers; port 0 takes a free one.
        token: what operators show; ``None`` makes it read-only.
        names: host names that browsers use.

    Raises:
        OSError: the port is in use, or the address does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(128)  # from now on the address may be published: early connections wait
        watcher = Watcher(source)
        server = Server(
            uvicorn.Config(
                create_app(watcher, token, names),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
                limit_concurrency=CONNECTIONS,
            )
        )
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            try:
                yield int(listener.getsockname()[1])
            finally:
                watcher.close()  # ends the streams of open pages, for which the server would wait
                server.should_exit = True
