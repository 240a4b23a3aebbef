"""A thread with an event loop and a connection of its own: work there goes on while the caller's loop is blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import anyio

from .heard import Heard
from .partition import Partition


class OwnLoop:
    """Runs work in another thread, with a partition that is opened there: a client of redis-py belongs to one loop.

    All work of one caller shares the thread and the connection. They begin with the first work and end with the last.
    The thread is a daemon: a program that leaves its event loop without ending its work comes to its end all the same.

    Args:
        opened: opens the partition.
        heard: what the process has heard of it.
    """

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[Partition]], heard: Heard) -> None:
        self._opened, self._heard = opened, heard
        self._users = 0
        self._changing = anyio.Lock()
        self._stack = AsyncExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._partition: Partition | None = None

    async def run(self, work: Callable[[Partition], Awaitable[None]]) -> None:
        """Run ``work(partition)`` in the thread. Cancelled, it cancels the work there, and waits until it has ended.

        Raises:
            SchedulerError: the partition could not be opened; see :func:`.partition.open_partition`.
            Exception: what the work raised.
        """
        async with self._in_use() as (loop, partition):
            await _across(loop, lambda: work(partition))

    @asynccontextmanager
    async def _in_use(self) -> AsyncIterator[tuple[asyncio.AbstractEventLoop, Partition]]:
        self._users += 1
        try:
            async with self._changing:
                if self._loop is None:
                    self._loop, self._thread = _start()
                if self._partition is None:
                    await _across(self._loop, self._open)
                assert self._partition is not None
            yield self._loop, self._partition
        finally:
            self._users -= 1
            with anyio.CancelScope(shield=True):
                async with self._changing:
                    if self._users == 0 and self._loop is not None and self._thread is not None:
                        await _across(self._loop, self._stack.aclose)
                        self._loop.call_soon_threadsafe(self._loop.stop)
                        self._thread.join()  # at once: no work is left in it
                        self._loop = self._partition = None

    async def _open(self) -> None:
        self._partition = await self._stack.enter_async_context(self._opened())
        self._partition.heard = self._heard


def _start() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    loop = asyncio.new_event_loop()

    def live() -> None:
        try:
            loop.run_forever()
        finally:
            loop.close()

    thread = threading.Thread(target=live, name="streamsched", daemon=True)
    thread.start()
    return loop, thread


async def _across(loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[None]]) -> None:
    """Await work in the loop of another thread. A cancel scope there, because redis-py can swallow a single
    cancellation while it connects."""
    scope = anyio.CancelScope()

    async def live() -> None:
        with scope:
            await work()

    started: Coroutine[Any, Any, None] = live()
    answer = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(started, loop))
    try:
        await asyncio.shield(answer)
    finally:
        if not answer.done():
            loop.call_soon_threadsafe(scope.cancel)
            with anyio.CancelScope(shield=True):
                await asyncio.wait([answer])
