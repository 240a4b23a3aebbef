"""A task beside a block of code: it restarts when it fails, and ends with the block."""

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
"""How often each background task of this process has failed, by name."""


Failed = Callable[[str], None]
"""Is called with the error each time a task fails."""


async def supervise(name: str, run: Callable[[], Awaitable[None]], failed: Failed = lambda problem: None) -> None:
    """Call ``run()`` until it returns. If it raises, log the error, pause, and call it again.

    Args:
        name: what the task does, for logs and for :data:`FAILURES`.
        run: the work. It starts from the beginning each time.
        failed: see :data:`Failed`; does nothing by default.
    """
    backoff = Backoff()
    while True:
        began = anyio.current_time()
        try:
            await run()
            return
        except Exception as problem:
            FAILURES[name] += 1
            failed(repr(problem))
            if anyio.current_time() - began > STEADY_S:
                backoff.reset()
            log.error("a background task failed and starts again", task=name, problem=repr(problem))
            log.debug("its traceback", task=name, exc_info=problem)
        await backoff.wait()


STEADY_S = 60.0
"""A task that ran this long before it failed restarts without the pauses of earlier failures."""


@asynccontextmanager
async def background_task(
    name: str, run: Callable[[], Awaitable[None]], failed: Failed = lambda problem: None
) -> AsyncIterator[None]:
    """Run ``run()``, supervised, while the block lasts, then cancel it and wait until it has ended.

    Not a task group: an error of the block must reach the caller as it is, not in an exception group. Not a bare task:
    redis-py can swallow a single cancellation while it connects, and a cancel scope repeats it.
    """
    scope = anyio.CancelScope()

    async def live() -> None:
        with scope:
            await supervise(name, run, failed)

    task = asyncio.create_task(live(), name=name)
    try:
        yield
    finally:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
