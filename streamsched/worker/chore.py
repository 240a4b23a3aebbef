"""What a worker does now and then, where its calls leave it time."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog
from redis.exceptions import RedisError

from ..contract.errors import SchedulerError
from ..engine.partition import Partition

log = structlog.get_logger(__name__)


class Chore:
    """Work that is done at intervals. A server that refuses is asked again after the next one.

    Args:
        work: what is done.
        between_s: pause between two times.
        level: how loud a failure is in the log, as :mod:`logging` counts.
        failing: what a failure means, for the log.
    """

    def __init__(
        self, work: Callable[[Partition], Awaitable[object]], between_s: float, level: int, failing: str
    ) -> None:
        self._work, self._between_s, self._level, self._failing = work, between_s, level, failing
        self._done_at = -between_s

    async def look(self, partition: Partition) -> None:
        """Do it, if the last time was long enough ago."""
        if time.monotonic() - self._done_at < self._between_s:
            return
        self._done_at = time.monotonic()
        try:
            await self._work(partition)
        except (SchedulerError, RedisError, OSError) as problem:
            log.log(self._level, self._failing, problem=str(problem))
