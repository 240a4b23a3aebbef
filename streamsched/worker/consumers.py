"""Removes processes that were killed from the lists: workers from the consumers of the group, all from the members. One
that ends by itself removes itself."""

from __future__ import annotations

import logging
from typing import Any

from ..contract.keys import GROUP, Keys
from ..engine.members import drop_silent
from ..engine.partition import Partition
from .chore import Chore

STREAMS = ("events", "heartbeats")
"""The streams on which workers block."""

GONE_MS = 600_000
"""A consumer that has not read for this long is gone: a worker reads every second. If it reads, it is listed again."""

BETWEEN_S = 60.0
"""Pause between two looks."""


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


def tidy_consumers(gone_ms: int = GONE_MS) -> Chore:
    """Return the work of keeping group and members to the processes that are there."""

    async def work(partition: Partition) -> None:
        await remove_gone(partition.redis, partition.keys, gone_ms)
        seconds, _ = await partition.redis.time()
        await drop_silent(partition.redis, partition.keys, seconds * 1000)

    return Chore(work, BETWEEN_S, logging.DEBUG, "killed processes stay listed")
