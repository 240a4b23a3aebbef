"""A whole system in one process, for tests of the client and the node: a server, a worker, a connected scheduler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from streamsched.client.scheduler import Scheduler
from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer
from streamsched.worker.worker import Worker


@asynccontextmanager
async def running(server: EmbeddedServer, keys: Keys) -> AsyncIterator[Scheduler]:
    """A worker beside a connected scheduler, on a partition of its own."""
    worker = Worker(server.url, keys)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        try:
            async with Scheduler.connect(server.url, keys.namespace) as scheduler:
                yield scheduler
        finally:
            worker.stop()


async def facts(scheduler: Scheduler) -> list[dict[str, str]]:
    """Every event of the log, in order."""
    entries: Any = await scheduler.partition.redis.xrange(scheduler.partition.keys("events"))
    return [fields for _, fields in entries]


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 20) -> None:
    """Wait until a condition holds; fail if it does not within a bound that no healthy run comes near."""
    with anyio.fail_after(within_s):
        while not await holds():
            await anyio.sleep(0.01)
