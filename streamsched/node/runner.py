"""Runs a handler on jobs, and reports how each ended."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog

from ..contract.errors import JobFailed
from .reports import LEAVING
from .task import Assignment, Task

log = structlog.get_logger(__name__)

Handler = Callable[[Assignment], Any]
"""Runs a job: a coroutine function, or a plain one, which runs in a thread. Text is the result as it is, ``None`` is
none, anything else is encoded as JSON; an exception fails the attempt (``JobFailed`` in its own words). A coroutine
whose job is taken away is cancelled once, and may clean up; a thread runs on, and its result is dropped."""


class Runner:
    """Runs handlers for one node.

    Args:
        concurrency: how many plain functions run at the same time, each in a thread.
    """

    def __init__(self, concurrency: int) -> None:
        self._threads = anyio.CapacityLimiter(concurrency)

    async def run(self, handler: Handler, task: Task) -> None:
        """Run a job to its end, and report it."""
        result: str | None = None
        failure: str | None = None
        task.carrier = asyncio.current_task()
        try:
            if task.revoked is None:
                result = await self._result(handler, task.assignment)
        except asyncio.CancelledError:
            # what is left when the job's own cancellation is taken off is the node's, which is to end
            if task.revoked is None or task.carrier is None or task.carrier.uncancel():
                raise
        except JobFailed as problem:
            failure = str(problem)
        except Exception as problem:  # the handler is the user's: what it raises fails this attempt, not the node
            log.warning("handler failed", job_id=task.job_id, problem=f"{type(problem).__name__}: {problem}")
            log.debug("its traceback", job_id=task.job_id, exc_info=problem)
            failure = f"{type(problem).__name__}: {problem}"
        finally:
            task.carrier = None
        if task.revoked == LEAVING:
            await task.hand_back(LEAVING)
        elif task.revoked is None:
            await (task.complete(result) if failure is None else task.fail(failure))

    async def _result(self, handler: Handler, assignment: Assignment) -> str | None:
        if inspect.iscoroutinefunction(handler):
            result = await handler(assignment)
        else:
            result = await anyio.to_thread.run_sync(handler, assignment, abandon_on_cancel=True, limiter=self._threads)
            if isinstance(result, Awaitable):
                result = await result
        return result if result is None or isinstance(result, str) else msgspec.json.encode(result).decode()
