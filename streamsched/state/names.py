"""The first names of a set of any size."""

from __future__ import annotations

from typing import Any

SORTABLE = 20_000
"""Up to this many names are read whole and sorted; of more, whichever come first are shown."""


async def names_of(redis: Any, key: str, limit: int) -> tuple[list[str], int]:
    """Read at most ``limit`` members of a set, the first by name unless it is huge, and how many there are."""
    total = await redis.scard(key)
    if total <= SORTABLE:
        return sorted(await redis.smembers(key))[:limit] if total else [], total
    some: list[str] = []
    async for name in redis.sscan_iter(key, count=1000):
        some.append(name)
        if len(some) >= limit:
            break
    return sorted(some), total
