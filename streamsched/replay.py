"""Folding a log again: into a scratch place to compare it with the live state, or in place to rebuild that state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from redis.asyncio import Redis
from redis.utils import str_if_bytes

from .keys import SOFT_KEYS, Keys, soft_fields
from .scripts import script

BATCH = 1000
"""Events one replay call may fold."""

WALK = 500
"""Keys looked at in one step of a walk over all of them."""

State = dict[str, Any]
"""Folded state by key without its prefix: hashes as dicts, sets sorted, sorted sets as (member, score), lists."""


async def read_state(redis: Redis, keys: Keys) -> State:
    """Read everything that must equal the fold of the log, soft fields aside.

    The keys are read one after the other: the partition must be at rest for the result to be one moment of it.
    """
    found: State = {}
    async for page in hard_keys(redis, keys):
        for name, kind in page:
            value = await _read_value(redis, keys.prefix + name, name, kind)
            if value:
                found[name] = value
    return found


async def hard_keys(redis: Any, keys: Keys) -> AsyncIterator[list[tuple[str, str]]]:
    """Yield :func:`state_keys` without the soft ones: those that must equal the fold of the log."""
    async for page in state_keys(redis, keys):
        yield [(name, kind) for name, kind in page if name not in SOFT_KEYS]


async def state_keys(redis: Any, keys: Keys) -> AsyncIterator[list[tuple[str, str]]]:
    """Yield the keys of the state page by page: each one's name without the prefix, and its type.

    They come in no order, some twice; a key that comes or goes meanwhile may be missing, or of type ``none``.
    """
    cursor = -1
    while cursor:
        cursor, raw = await redis.scan(max(cursor, 0), match=keys.prefix + "*", count=WALK)
        names = [key[len(keys.prefix) :] for key in map(str_if_bytes, raw) if keys.is_state(key)]
        async with redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(keys.prefix + name)
            kinds = map(str_if_bytes, await pipe.execute())
        yield list(zip(names, kinds, strict=True))


async def _read_value(redis: Redis, key: str, name: str, kind: str) -> Any:
    if kind == "hash":
        soft = soft_fields(name)
        return {field: text for field, text in (await redis.hgetall(key)).items() if field not in soft}
    if kind == "set":
        return sorted(await redis.smembers(key))
    if kind == "zset":
        return await redis.zrange(key, 0, -1, withscores=True)
    return await redis.lrange(key, 0, -1)


def difference(one: State, other: State) -> dict[str, tuple[Any, Any]]:
    """Return the keys whose values differ, with both values; empty if the states are equal."""
    return {key: (one.get(key), other.get(key)) for key in sorted(one | other) if one.get(key) != other.get(key)}


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


async def mend(redis: Any, keys: Keys) -> int | None:
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
