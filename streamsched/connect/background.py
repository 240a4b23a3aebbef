"""A task that runs beside a block of code and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import structlog

log = structlog.get_logger(__name__)


@asynccontextmanager
async def background_task(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run ``run()`` while the block lasts, then cancel it and wait until it has ended.

    Not a task group, because what the block raises must reach its caller as it is, not inside an exception group; and
    not a bare task either, because redis-py can swallow a single cancellation while it connects: a cancel scope
    delivers it again and again.
    """
    scope = anyio.CancelScope()

    async def live() -> None:
        with scope:
            await run()

    task = asyncio.create_task(live())
    try:
        yield
    finally:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled() and (problem := task.exception()):
            log.error("a background task failed", exc_info=problem)
