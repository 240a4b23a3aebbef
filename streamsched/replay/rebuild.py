"""Folds a log again: into a scratch namespace to compare it with the live state, or in place to rebuild that state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from ..contract.keys import Keys
from ..engine.script import script

BATCH = 256
"""Most events that one replay call folds, and of large ones 1 MiB."""


async def refold(
    redis: Redis,
    keys: Keys,
    scratch: Keys,
    batch: int = BATCH,
    progress: Callable[[int], None] = lambda folded: None,
) -> None:
    """Fold the log of ``keys`` from its first entry into the namespace ``scratch``, which no live process uses.

    Args:
        redis: the server that holds both.
        keys: the partition whose log is read; it stays unchanged.
        scratch: the namespace for the state; must be empty, and in a cluster have the same hash tag.
        batch: events a call; :data:`BATCH` by default.
        progress: called with the number of events folded so far, after each call.

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
    """Remove the state of a namespace without live processes, such as a scratch; its streams stay."""
    async for key in redis.scan_iter(match=keys.prefix + "*", count=1000):
        if keys.is_state(key):
            await redis.unlink(key)


async def rebuild(redis: Any, keys: Keys, progress: Callable[[int], None] = lambda folded: None) -> int:
    """Drop the state of a partition, whole or not, and fold its log again; returns the number of events folded.

    Live calls are refused with ``REBUILDING`` until the state is whole. Every step is atomic and may be repeated:
    several callers may rebuild at once, and if one dies, the next one continues.

    Raises:
        LogGap: the log was trimmed; the text names the archive to use.
        PartitionRebuilding: it is being rebuilt from an archive, and only that command can continue.
        NewerLog: a newer program has taken over the log; nothing was dropped.
        PartitionHalted: the log cannot be folded; the text says at which event. The next call starts over.
    """
    phase = await script("begin_rebuild")(redis, events=keys("events"), prefix=keys.prefix, at_will=1)
    return await _fold_anew(redis, keys, phase, progress)


async def rebuild_if_damaged(redis: Any, keys: Keys) -> int | None:
    """Rebuild a state that is torn, missing or half rebuilt; ``None`` if it is whole, for example after another
    rebuild.

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
    """Drop the state of a partition that is marked for it; several callers may do so at once."""
    cursor = "0"
    while True:
        cursor = await script("drop_state")(
            redis, events=keys("events"), dead=keys("dead"), prefix=keys.prefix, cursor=cursor
        )
        if cursor == "0":
            return


async def fold_log(redis: Any, keys: Keys, progress: Callable[[int], None]) -> int:
    """Fold the log after the watermark in place, and release the partition.

    Raises:
        PartitionHalted: an event cannot be folded, or a call was torn; the next call starts the rebuild over.
    """
    more, folded = 1, "0"
    streams = {"events": keys("events"), "dead": keys("dead")}
    while more:
        more, _, folded = await script("replay")(redis, **streams, prefix=keys.prefix, batch=BATCH, in_place=1)
        progress(int(folded))
    # 0 where another process has folded the end
    return int(folded) or int(await redis.hget(keys("meta"), "folded") or 0)
