"""Removes the consumers of workers that were killed from the group. A worker that ends by itself removes its own."""

from __future__ import annotations

import time
from typing import Any

import structlog
from redis.exceptions import RedisError

from ..contract.keys import GROUP, Keys

log = structlog.get_logger(__name__)

STREAMS = ("events", "heartbeats")
"""The streams on which workers block."""

GONE_MS = 600_000
"""A consumer that has not read for this long is gone: a worker reads every second. If it reads, it is listed again."""

BETWEEN_S = 60.0
"""Pause between two looks."""


class Consumers:
    """The consumers of the group of one partition."""

    def __init__(self, keys: Keys, gone_ms: int = GONE_MS) -> None:
        self._keys, self._gone_ms = keys, gone_ms
        self._looked_at = -BETWEEN_S

    async def look(self, redis: Any) -> None:
        """Remove those that are gone, if the last look was long enough ago. A server that refuses is asked later."""
        if time.monotonic() - self._looked_at < BETWEEN_S:
            return
        self._looked_at = time.monotonic()
        try:
            await remove_gone(redis, self._keys, self._gone_ms)
        except (RedisError, OSError) as problem:
            log.debug("consumers of killed workers stay listed", problem=str(problem))


async def remove_gone(redis: Any, keys: Keys, gone_ms: int = GONE_MS) -> int:
    """Remove the consumers that have not read for ``gone_ms``; returns how many.

    Nothing is lost with a consumer: workers read without acknowledgement, so it has no pending entries. One that has
    some is of another program, and stays.

    Args:
        redis: a client that decodes replies.

    Raises:
        RedisError: the server is away, has no such group, or refuses.
    """
    removed = 0
    for stream in STREAMS:
        for consumer in await redis.xinfo_consumers(keys(stream), GROUP):
            if int(consumer["idle"]) >= gone_ms and not int(consumer["pending"]):
                await redis.xgroup_delconsumer(keys(stream), GROUP, consumer["name"])
                removed += 1
    return removed
