"""Folding a log again: into a scratch place to compare it with the live state, or in place to rebuild that state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from ..contract.keys import Keys
from ..engine.script import script

BATCH = 1000
"""Events one replay call may fold."""


async def refold(
    redis: Redis,
    keys: Keys,
    scratch: Keys,
    batch: int = BATCH,
    progress: Callable[[int], None] = lambda folded: None,
) -> None:
    """Fold the log of ``keys`` from its first entry into the namespace ``scratch``, which takes no part in live work.

    Args:
        redis: the server that holds both.
        keys: the partition whose log is read; nothing of it changes.
        scratch: where the state goes; must be empty, and in a cluster of the same hash tag.
        batch: events a call; 1000 by default.
        progress: told the number of events folded so far, after each call.

    Raises:
        PartitionHalted: the replay was torn, or the log cannot be folded; the text says at which event.
    """
    more = 1
    while more:
        more, _, folded = await script("replay")(
            redis, events=keys("events"), dead=keys("dead"), prefix=scratch.prefix, batch=batch, in_place=0
        )
        progress(int(folded))


async def drop(redis: Redis, keys: Keys) -> None:
    """Remove the state of a namespace that nobody works on, such as a scratch; its streams stay."""
    async for key in redis.scan_iter(match=keys.prefix + "*", count=1000):
        if keys.is_state(key):
            await redis.unlink(key)


async def rebuild(redis: Any, keys: Keys, progress: Callable[[int], None] = lambda folded: None) -> int:
    """Drop the state of a partition, whole or not, and fold its log anew; returns the number of events folded.

    Live calls are refused with ``REBUILDING`` until the state is whole. Every step is atomic and may be repeated, so
    any number of callers may be at it at once, and whoever dies in it is replaced by the next to call.

    Raises:
        LogGap: the log does not hold all its entries any more; the text says which archive would mend it.
        PartitionRebuilding: it is being rebuilt from an archive, which only that command can go on with.
        NewerLog: a newer program has taken over the log; nothing was dropped.
        PartitionHalted: the log cannot be folded; the text says at which event. The next call begins anew.
    """
    phase = await script("begin_rebuild")(redis, events=keys("events"), prefix=keys.prefix, at_will=1)
    return await _fold_anew(redis, keys, phase, progress)


async def rebuild_if_damaged(redis: Any, keys: Keys) -> int | None:
    """Rebuild a state that is torn, gone or half rebuilt; ``None`` if it is whole, as when somebody has just done it.

    Raises:
        LogGap, PartitionRebuilding, NewerLog, PartitionHalted: see :func:`rebuild`.
    """
    phase = await script("begin_rebuild")(redis, events=keys("events"), prefix=keys.prefix, at_will=0)
    return await _fold_anew(redis, keys, phase, lambda folded: None) if phase else None


async def _fold_anew(redis: Any, keys: Keys, phase: str, progress: Callable[[int], None]) -> int:
    if phase == "drop":
        await empty(redis, keys)
    return await fold_log(redis, keys, progress)


async def empty(redis: Any, keys: Keys) -> None:
    """Drop the state of a partition that is marked for it; several may do so at once."""
    cursor = "0"
    while True:
        cursor = await script("drop_state")(
            redis, events=keys("events"), dead=keys("dead"), prefix=keys.prefix, cursor=cursor
        )
        if cursor == "0":
            return


async def fold_log(redis: Any, keys: Keys, progress: Callable[[int], None]) -> int:
    """Fold what the log holds behind the watermark in place, and hand the partition back.

    Raises:
        PartitionHalted: an event cannot be folded, or a call was torn; the rebuild begins anew with the next call.
    """
    more, folded = 1, "0"
    streams = {"events": keys("events"), "dead": keys("dead")}
    while more:
        more, _, folded = await script("replay")(redis, **streams, prefix=keys.prefix, batch=BATCH, in_place=1)
        progress(int(folded))
    return int(folded)
