"""Reads the keys of a state whole, of any type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis
from redis.utils import str_if_bytes

from ..contract.keys import Keys
from ..contract.soft_state import SOFT_KEYS, soft_fields

WALK = 500
"""Keys per step of a scan over all keys."""

State = dict[str, Any]
"""Folded state by key without its prefix: hashes as dicts, sets sorted, sorted sets as (member, score), lists."""


async def read_state(redis: Redis, keys: Keys) -> State:
    """Read all keys that must equal the fold of the log, without soft fields.

    The keys are read one after the other: the partition must be idle for a consistent result.
    """
    found: State = {}
    async for page in hard_keys(redis, keys):
        for name, kind in page:
            value = await _read_value(redis, keys.prefix + name, name, kind)
            if value:
                found[name] = value
    return found


async def hard_keys(redis: Any, keys: Keys) -> AsyncIterator[list[tuple[str, str]]]:
    """Yield :func:`state_keys` without the soft keys: those that must equal the fold of the log."""
    async for page in state_keys(redis, keys):
        yield [(name, kind) for name, kind in page if name not in SOFT_KEYS]


async def state_keys(redis: Any, keys: Keys) -> AsyncIterator[list[tuple[str, str]]]:
    """Yield the keys of the state page by page: the name without the prefix, and the type.

    The order is arbitrary and a key may occur twice. A key created or deleted during the scan may be missing, or of
    type ``none``.
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
        return {field: text for field, text in (await redis.hgetall(key)).items() if str_if_bytes(field) not in soft}
    if kind == "set":
        return sorted(await redis.smembers(key))
    if kind == "zset":
        return await redis.zrange(key, 0, -1, withscores=True)
    return await redis.lrange(key, 0, -1)


def difference(one: State, other: State) -> dict[str, tuple[Any, Any]]:
    """Return the keys whose values differ, with both values; empty if the states are equal."""
    return {key: (one.get(key), other.get(key)) for key in sorted(one | other) if one.get(key) != other.get(key)}
