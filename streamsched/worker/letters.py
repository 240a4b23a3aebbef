"""Drops the oldest dead letters that nothing else bounds. A worker does it: other programs may not delete letters."""

from __future__ import annotations

import logging

import structlog

from ..engine.partition import Partition
from ..engine.script import script
from .chore import Chore

log = structlog.get_logger(__name__)

BATCH = 256
"""Letters that one call may look at."""

BETWEEN_S = 5.0
"""Pause between two looks."""


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


def bound_letters() -> Chore:
    """Return the work of keeping the letters that nothing else bounds to as many as may be."""
    return Chore(drop_letters, BETWEEN_S, logging.WARNING, "dead letters are not bounded")
