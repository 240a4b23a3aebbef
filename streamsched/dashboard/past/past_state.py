"""A scratch server with one past moment, and the board of its content."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from ...connect.client import connect
from ...contract.entries import Chunk, Entry, position
from ...contract.keys import Keys
from ...history.history import History
from ...replay.scratch import Scratch
from ...server.embedded import EmbeddedServer
from ..state_reader import StateReader
from ..view import ROWS

Fed = Callable[["PastState", Chunk], Awaitable[None]]


class PastState:
    """A state of the past, which can be moved forward.

    Args:
        server: the server that holds it.
        scratch: what was folded there.
        scene: the board it is read onto.
    """

    def __init__(self, server: EmbeddedServer, scratch: Scratch, scene: StateReader) -> None:
        self.server, self.scratch, self.scene = server, scratch, scene
        self.seen = False
        """Whether the board has been read at all."""
        self.used = anyio.current_time()
        self.latest: deque[tuple[Entry, str]] = deque(maxlen=ROWS)
        """The events folded since the last read, each with its refusal if there is one."""

    @classmethod
    async def open(cls, keys: Keys, pairs: set[tuple[str, str]], dump: Path | None = None) -> PastState:
        """Start a server, empty or with the state of a checkpoint.

        Raises:
            ServerDidNotStart: the server ended, or none is installed.
        """
        server = EmbeddedServer()
        try:
            if dump is not None:
                try:
                    os.link(dump, server.data / "dump.rdb")
                except OSError:  # another file system
                    await anyio.to_thread.run_sync(shutil.copyfile, dump, server.data / "dump.rdb")
            await anyio.to_thread.run_sync(server.start)
        except BaseException:
            server.stop()
            raise
        redis: Any = connect(server.url)
        scratch = Scratch(redis, keys)
        if dump is not None:
            watermark, folded = await redis.hmget(keys("meta"), ("watermark", "folded"))
            scratch.watermark, scratch.folded = watermark, int(folded)
        return cls(server, scratch, StateReader(redis, keys, pairs))

    async def move(self, history: History, until: str, fed: Fed | None = None) -> None:
        """Fold on to an event; ``fed`` is called after each chunk, before the next one is folded.

        Raises:
            LogGap, ArchiveDamaged: the history is not whole.
        """
        if position(until) <= position(self.scratch.watermark):
            return
        feeding: asyncio.Task[None] | None = None
        try:
            async for chunk in history.chunks(self.scratch.watermark, until):
                if feeding is not None:
                    await feeding
                feeding = asyncio.create_task(self._feed(chunk, fed))  # the next chunk is read meanwhile
        finally:
            if feeding is not None:
                with anyio.CancelScope(shield=True):
                    await feeding

    async def _feed(self, chunk: Chunk, fed: Fed | None) -> None:
        await self.scratch.feed(chunk)
        self.scene.note(chunk)
        self.latest.extend((entry, chunk.buried.get(entry.id, "")) for entry in chunk.entries[-ROWS:])
        if fed is not None:
            await fed(self, chunk)

    async def close(self) -> None:
        """Stop the server."""
        with anyio.CancelScope(shield=True):
            await self.scratch.redis.aclose()
            await anyio.to_thread.run_sync(self.server.stop)
