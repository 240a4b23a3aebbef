"""A task that runs beside a block of code, is started again when it fails, and ends with the block."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import structlog

from .outage import Backoff

log = structlog.get_logger(__name__)

FAILURES: Counter[str] = Counter()
"""How often each background task of this process has failed, by its name."""


async def supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Call ``run()`` until it returns. When it raises, log that at once, and call it again after a pause.

    Args:
        name: what the task does, for logs and for :data:`FAILURES`.
        run: the work. It starts from the beginning each time.
    """
    backoff = Backoff()
    while True:
        began = anyio.current_time()
        try:
            await run()
            return
        except Exception as problem:
            FAILURES[name] += 1
            if anyio.current_time() - began > STEADY_S:
                backoff.reset()
            log.error("a background task failed and starts again", task=name, problem=repr(problem))
            log.debug("its traceback", task=name, exc_info=problem)
        await backoff.wait()


STEADY_S = 60.0
"""A task that ran for this long before it failed starts again without the pauses of its earlier failures."""


@asynccontextmanager
async def background_task(name: str, run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run ``run()``, supervised, while the block lasts, then cancel it and wait until it has ended.

    Not a task group, because what the block raises must reach its caller as it is, not inside an exception group; and
    not a bare task either, because redis-py can swallow a single cancellation while it connects: a cancel scope
    delivers it again and again.
    """
    scope = anyio.CancelScope()

    async def live() -> None:
        with scope:
            await supervise(name, run)

    task = asyncio.create_task(live(), name=name)
    try:
        yield
    finally:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
