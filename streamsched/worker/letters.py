"""Drops the oldest dead letters that nothing else bounds. A worker does it: other programs may not delete letters."""

from __future__ import annotations

import time

import structlog
from redis.exceptions import RedisError

from ..contract.errors import SchedulerError
from ..engine.partition import Partition
from ..engine.script import script

log = structlog.get_logger(__name__)

BATCH = 256
"""Letters that one call may look at."""

BETWEEN_S = 5.0
"""Pause between two looks."""


class Letters:
    """The dead letters of one partition."""

    def __init__(self) -> None:
        self._looked_at = -BETWEEN_S

    async def look(self, partition: Partition) -> None:
        """Drop what is too much, if the last look was long enough ago. A server that refuses is asked again later."""
        if time.monotonic() - self._looked_at < BETWEEN_S:
            return
        self._looked_at = time.monotonic()
        try:
            await drop_letters(partition)
        except (SchedulerError, RedisError, OSError) as problem:
            log.warning("dead letters are not bounded", problem=str(problem))


async def drop_letters(partition: Partition) -> int:
    """Drop the oldest letters about heartbeats and ingresses until there are as many as may be; returns how many.

    Raises:
        SchedulerError, RedisError, OSError: the server is away, or refuses.
    """
    dropped, more = 0, 1
    while more:
        lost, more = await script("drop_letters")(
            partition.redis, dead=partition.keys("dead"), prefix=partition.keys.prefix, batch=BATCH
        )
        dropped += lost
    if dropped:
        log.warning("dead letters were dropped: more than max_letters or max_letters_bytes", dropped=dropped)
    return dropped
