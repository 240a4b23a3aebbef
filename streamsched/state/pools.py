"""Pools, as the folded state has them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..contract.keys import Keys


class PoolView(msgspec.Struct, kw_only=True):
    """One pool."""

    pool_id: str
    name: str
    languages: list[str]
    members: int
    open: int
    """Members that may receive a job now."""
    paused: bool
    """Whether an operator keeps new jobs away from it."""


async def _read_pools(redis: Any, keys: Keys, pool_ids: list[str]) -> list[PoolView]:
    async with redis.pipeline(transaction=False) as pipe:
        for pool_id in pool_ids:
            pipe.hgetall(keys("pool_info", pool_id))
            pipe.scard(keys("pool_members", pool_id))
            pipe.scard(keys("pool_online", pool_id))
        replies = await pipe.execute()
    return [
        PoolView(
            pool_id=pool_id,
            name=replies[3 * n].get("name", ""),
            languages=replies[3 * n].get("languages", "").split(),
            members=replies[3 * n + 1],
            open=replies[3 * n + 2],
            paused="paused" in replies[3 * n],
        )
        for n, pool_id in enumerate(pool_ids)
    ]
