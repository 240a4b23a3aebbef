"""A scratch server on which a history is folded up to any event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import anyio.to_thread
import msgpack
from redis.asyncio import Redis

from ..connect.client import connect
from ..contract.entries import Chunk, parts, position
from ..contract.errors import ScratchIsLive
from ..contract.keys import Keys
from ..engine.script import script
from ..history.history import History
from ..server.embedded import EmbeddedServer

Progress = Callable[[int], None]


def packed(chunk: Chunk) -> bytes:
    """Pack a chunk for ``refold``: in the older MessagePack format, which ``cmsgpack`` reads."""
    rows = [(entry.id, entry.id in chunk.buried, entry.flat) for entry in chunk.entries]
    return cast(bytes, msgpack.packb(rows, use_bin_type=False))


class Scratch:
    """State folded from a history, under the same keys as the live one, so that the same tools can read it.

    Args:
        redis: a client of a server without keys under the prefix of ``keys``.
        keys: the partition whose history is folded.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis: Any = redis
        self.keys = keys
        self.watermark = "0-0"
        """Id of the last event folded here."""
        self.folded = 0

    async def feed(self, chunk: Chunk) -> None:
        """Fold a chunk that follows the events folded before.

        Raises:
            NewerLog: the chunk was folded by a newer version of this program.
            PartitionHalted: an event cannot be folded; the text says which.
        """
        for part in parts(chunk):
            _, watermark, folded = await script("replay_entries")(
                self.redis,
                **self._streams(),
                prefix=self.keys.prefix,
                in_place=0,
                after=self.watermark,
                entries=packed(part),
                ends=0,
            )
            self.watermark, self.folded = _text(watermark), int(folded)

    async def follow(self, history: History, until: str = "+", progress: Progress = lambda folded: None) -> None:
        """Fold up to ``until`` (default: the live watermark); never backwards."""
        if until != "+" and position(until) <= position(self.watermark):
            return
        feeding: asyncio.Task[None] | None = None
        try:
            async for chunk in history.chunks(self.watermark, until):
                if feeding is not None:
                    await feeding
                    progress(self.folded)
                feeding = asyncio.create_task(self.feed(chunk))  # read the next chunk while this one is folded
        finally:
            if feeding is not None:
                with anyio.CancelScope(shield=True):
                    await feeding
                progress(self.folded)

    async def step(self, chunk: Chunk, ask: Callable[[Any], None]) -> list[Any]:
        """Fold a chunk event by event; returns, for each event, the reply to the pipeline that ``ask`` fills after it.

        Raises:
            ResponseError: an event cannot be folded.
        """
        refold = script("replay_entries")
        await self.redis.script_load(refold.text)
        async with self.redis.pipeline(transaction=False) as pipe:
            after = self.watermark
            for entry in chunk.entries:
                one = packed(Chunk([entry], chunk.buried))
                given = {**self._streams(), "prefix": self.keys.prefix, "in_place": 0, "after": after, "ends": 0}
                after = entry.id
                pipe.execute_command("EVALSHA", refold.sha, *refold.arguments(**given, entries=one))
                ask(pipe)
            replies = await pipe.execute()
        self.watermark, self.folded = chunk.entries[-1].id, self.folded + len(chunk.entries)
        return replies[1::2]  # type: ignore[no-any-return]

    def _streams(self) -> dict[str, str]:
        return {"events": self.keys("events"), "dead": self.keys("dead")}

    async def clear(self) -> None:
        """Drop everything and start over."""
        await self.redis.flushdb()
        self.watermark, self.folded = "0-0", 0


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


@asynccontextmanager
async def open_scratch(keys: Keys, url: str | None = None, live: Redis | None = None) -> AsyncIterator[Scratch]:
    """Yield a scratch server, which is emptied at the end.

    Args:
        keys: the partition that will be folded.
        url: its server; ``None`` (default) starts one on a free port of 127.0.0.1 and stops it after the block.
        live: a client of the live server, to check that the scratch is another one.

    Raises:
        ScratchIsLive: the server at ``url`` is the live one, or its database holds keys already.
        ServerDidNotStart: the embedded server failed.
    """
    if url is None:
        server = EmbeddedServer()
        await anyio.to_thread.run_sync(server.start)
        try:
            async with _connected(server.url) as redis:
                yield Scratch(redis, keys)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(server.stop)
        return
    async with _connected(url) as redis:
        if live is not None and (await redis.info("server"))["run_id"] == (await live.info("server"))["run_id"]:
            raise ScratchIsLive("--scratch is the server of the live partition: give another server, or leave it out")
        if await redis.dbsize():
            raise ScratchIsLive("--scratch holds keys already: give an empty server or database, or leave it out")
        scratch = Scratch(redis, keys)
        try:
            yield scratch
        finally:
            with anyio.CancelScope(shield=True):
                await scratch.clear()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    redis = connect(url)
    try:
        yield redis
    finally:
        with anyio.CancelScope(shield=True):
            await redis.aclose()
