"""A TCP proxy between clients and a server, which can lose a reply, hang, or lead elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from random import Random
from types import TracebackType

Chunk = Callable[[bytes], bool]


class Proxy:
    """Listens on a port of 127.0.0.1 of its own, in a thread of its own, for as long as a ``with`` block lasts.

    Args:
        port: where the server listens.
        seed: what the choice of lost replies is drawn from.
        host: its host; 127.0.0.1 by default.
        listen: the port to listen on; a free one by default.
    """

    def __init__(self, port: int, seed: int = 0, host: str = "127.0.0.1", listen: int = 0) -> None:
        self.target, self.host = port, host
        self.port = listen
        self.loses: Chunk | None = None
        """Tells whether the reply to what a client sends is to be lost: the server acts, the connection ends."""
        self.share = 0.5
        """How many of those replies are lost."""
        self.lost = 0
        self._random = Random(seed)
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """The address to give to clients."""
        return f"redis://127.0.0.1:{self.port}"

    def hang(self) -> None:
        """Hold everything back, on old connections and new ones, silently: what a cut cable looks like."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def go_on(self) -> None:
        """Let everything through again, what was held back included."""
        self._loop.call_soon_threadsafe(self._open.set)

    def lead_to(self, port: int) -> None:
        """Cut every connection; new connections reach another server."""
        self.target = port
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._open.set()
        serving = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = serving.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        serving.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, server_writer)
        self._pairs.add(pair)
        doomed = asyncio.Event()
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._ask(reader, server_writer, doomed)),
                    asyncio.create_task(self._answer(server_reader, writer, doomed)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            return  # the proxy ends
        finally:
            self._pairs.discard(pair)
            for one in pair:
                one.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await reader.read(2**20):
                await self._open.wait()
                if self.loses is not None and self.loses(data) and self._random.random() < self.share:
                    doomed.set()
                server.write(data)
                await server.drain()

    async def _answer(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await server.read(2**20):
                await self._open.wait()
                if doomed.is_set():
                    self.lost += 1
                    return
                writer.write(data)
                await writer.drain()

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
